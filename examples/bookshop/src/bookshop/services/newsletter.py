"""The newsletter's list."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.db import Sessions
from bookshop.models import Subscriber


async def subscribe(session: AsyncSession, email: str) -> Subscriber:
    known = await session.scalar(select(Subscriber).where(Subscriber.email == email))
    if known is not None:
        return known
    subscriber = Subscriber(email=email)
    session.add(subscriber)
    await session.commit()
    return subscriber


async def welcome(sessions: Sessions, subscriber_id: int) -> None:
    async with sessions() as session:
        await session.execute(update(Subscriber).where(Subscriber.id == subscriber_id).values(welcomed=True))
        await session.commit()
