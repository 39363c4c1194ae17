"""How many copies stand on our own shelves."""

import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.models import StockLevel

RECOUNT_SECONDS = 0.01


async def level_of(session: AsyncSession, book_id: int) -> StockLevel | None:
    statement = select(StockLevel).where(StockLevel.book_id == book_id)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def settled_level(session: AsyncSession, book_id: int) -> StockLevel | None:
    """A shelf that is being counted is asked once more; after that its last figure has to do."""
    level = await level_of(session, book_id)
    if level is not None and level.recounting:
        await asyncio.sleep(RECOUNT_SECONDS)
        level = await level_of(session, book_id)
    return level
