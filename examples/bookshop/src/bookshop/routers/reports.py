"""Reports for the back office."""

from typing import Annotated

from fastapi import APIRouter, Query

from bookshop.db import SessionDep
from bookshop.schemas import Pair
from bookshop.services import reporting

router = APIRouter(prefix="/reports", tags=["reports"])


@router.get("/bought-together")
async def bought_together(session: SessionDep, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[Pair]:
    return await reporting.bought_together(session, limit)
