"""Orders as the back office sees them."""

import csv
import io
from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from bookshop.db import Sessions
from bookshop.models import Order
from bookshop.schemas import OrderSummary

EXPORT_COLUMNS = ("id", "customer_id", "status", "placed_at")


async def page_of_orders(session: AsyncSession, limit: int, offset: int) -> list[Order]:
    statement = select(Order).options(selectinload(Order.lines)).order_by(Order.id.desc())
    return list(await session.scalars(statement.limit(limit).offset(offset)))


async def order_with_lines(session: AsyncSession, order_id: int) -> Order | None:
    return await session.get(Order, order_id, options=[selectinload(Order.lines)])


async def summarize(order: Order) -> OrderSummary:
    lines = await order.awaitable_attrs.lines
    return OrderSummary(
        id=order.id,
        customer_id=order.customer_id,
        status=order.status,
        placed_at=order.placed_at,
        copies=sum(line.quantity for line in lines),
        total_cents=sum(line.quantity * line.unit_cents for line in lines),
    )


async def recent_orders(session: AsyncSession, limit: int) -> list[OrderSummary]:
    latest = await session.scalars(select(Order).order_by(Order.placed_at.desc()).limit(limit))
    return [await summarize(order) for order in latest.all()]


async def orders_to_pack(session: AsyncSession) -> list[Order]:
    waiting = select(Order).where(Order.status == "open").order_by(Order.placed_at)
    return list(await session.scalars(waiting))


async def orders_as_csv(sessions: Sessions) -> AsyncIterator[str]:
    yield ",".join(EXPORT_COLUMNS) + "\r\n"
    columns = select(*(getattr(Order, name) for name in EXPORT_COLUMNS)).order_by(Order.id)
    async with sessions() as session:
        result = await session.stream(columns.execution_options(yield_per=500))
        async for rows in result.partitions():
            chunk = io.StringIO()
            csv.writer(chunk).writerows(rows)
            yield chunk.getvalue()
