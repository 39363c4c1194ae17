"""The first page and what stands on it."""

from typing import Annotated

from fastapi import APIRouter, Query

from bookshop.db import SessionDep, SessionsDep
from bookshop.deps import RankingDep
from bookshop.schemas import Dashboard, Home, RankedBook
from bookshop.services import ranking, reporting

router = APIRouter(tags=["home"])
SHELF = 10


@router.get("/home")
async def home(session: SessionDep) -> Home:
    return Home(headline="Read something tonight", bestsellers=await ranking.bestsellers(session, SHELF))


@router.get("/rankings")
async def rankings(
    session: SessionDep, kept: RankingDep, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[RankedBook]:
    return await kept.top(session, limit)


@router.get("/dashboard")
async def dashboard(sessions: SessionsDep) -> Dashboard:
    return await reporting.dashboard(sessions)
