"""What partners read from us."""

import asyncio
from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.clock import utc_now
from bookshop.models import Review

FEED_REVIEWS = 1000
TICKS = 5
TICK_SECONDS = 0.03


async def latest_reviews(session: AsyncSession) -> list[Review]:
    return list(await session.scalars(select(Review).order_by(Review.id.desc()).limit(FEED_REVIEWS)))


async def ticker() -> AsyncIterator[str]:
    for tick in range(TICKS):
        yield f"event: tick\ndata: {tick} {utc_now().isoformat(timespec='seconds')}\n\n"
        await asyncio.sleep(TICK_SECONDS)
