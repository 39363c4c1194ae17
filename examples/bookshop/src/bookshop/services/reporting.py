"""Figures for the back office."""

import asyncio

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from bookshop.clock import utc_now
from bookshop.db import Sessions
from bookshop.models import Book, Customer, Order, OrderLine
from bookshop.schemas import Dashboard, Pair


async def bought_together(session: AsyncSession, limit: int) -> list[Pair]:
    first, second = aliased(OrderLine), aliased(OrderLine)
    together = func.count().label("orders")
    statement = (
        select(first.book_id.label("first_id"), second.book_id.label("second_id"), together)
        .join(second, (second.order_id == first.order_id) & (second.book_id > first.book_id))
        .join(Order, Order.id == first.order_id)
        .where(Order.placed_at <= utc_now())
        .group_by(first.book_id, second.book_id)
        .order_by(together.desc(), first.book_id, second.book_id)
        .limit(limit)
    )
    return [Pair.model_validate(pair) for pair in await session.execute(statement)]


async def number_of(sessions: Sessions, statement: Select[tuple[int]]) -> int:
    async with sessions() as session:
        return await session.scalar(statement) or 0


async def dashboard(sessions: Sessions) -> Dashboard:
    waiting = select(func.count()).select_from(Order).where(Order.status == "open")
    books, customers, open_orders = await asyncio.gather(
        number_of(sessions, select(func.count()).select_from(Book)),
        number_of(sessions, select(func.count()).select_from(Customer)),
        number_of(sessions, waiting),
    )
    return Dashboard(books=books, customers=customers, open_orders=open_orders)
