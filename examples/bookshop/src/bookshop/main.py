"""The application: `uvicorn --app-dir src bookshop.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from bookshop.cache import make_cache
from bookshop.config import Settings, settings_from_env
from bookshop.db import make_engine, make_sessions
from bookshop.outside import outside
from bookshop.routers import (
    accounts,
    admin,
    articles,
    authors,
    books,
    cart,
    customers,
    feeds,
    health,
    home,
    orders,
    reports,
    search,
    wholesale,
)
from bookshop.services.blurbs import BlurbWriter
from bookshop.services.ranking import Ranking
from bookshop.services.suppliers import Supplier

ROUTERS = (
    health,
    home,
    books,
    authors,
    search,
    articles,
    customers,
    accounts,
    orders,
    cart,
    wholesale,
    reports,
    feeds,
    admin,
)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    engine = make_engine(settings.database_url)
    cache = make_cache(settings.redis_url)
    app.state.sessions = make_sessions(engine)
    app.state.ranking = Ranking()
    with outside(settings) as addresses:
        async with httpx.AsyncClient(timeout=5) as model_client, Supplier(addresses.supplier_url) as supplier:
            app.state.blurbs = BlurbWriter(model_client, addresses.blurb_url, settings.blurb_model, cache)
            app.state.supplier = supplier
            yield
    await cache.close()
    await engine.dispose()


def create_app(settings: Settings | None = None) -> FastAPI:
    app = FastAPI(title="Bookshop", version="0.3.0", lifespan=running)
    app.state.settings = settings or settings_from_env()
    for module in ROUTERS:
        app.include_router(module.router)
    return app


app = create_app()
