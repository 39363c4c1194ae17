import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from bookshop.config import Settings
from bookshop.db import make_engine
from bookshop.main import create_app
from bookshop.seed import seed

HOME = Path(__file__).parents[1]
BOOKS = 24


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without a row; to be copied, not used."""
    path = tmp_path_factory.mktemp("blank") / "shop.sqlite3"
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(command, cwd=HOME, env=os.environ | {"DATABASE_URL": url_of(path)}, check=True, timeout=60)
    return path


async def client_of(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(database_url, None, None, "blurb-small", None))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            yield client


@pytest.fixture(scope="session")
async def shop(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A shop with a few books."""
    url = url_of(shutil.copy(blank, tmp_path_factory.mktemp("shop")))
    engine = make_engine(url)
    await seed(engine, BOOKS)
    await engine.dispose()
    async for client in client_of(url):
        yield client


@pytest.fixture(scope="session")
async def empty_shop(
    blank: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    async for client in client_of(url_of(shutil.copy(blank, tmp_path_factory.mktemp("empty")))):
        yield client
