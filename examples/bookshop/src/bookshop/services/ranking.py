"""Which books sell."""

import time
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.models import Author, Book, Order, OrderLine
from bookshop.schemas import RankedBook

KEEP_SECONDS = 300.0


async def bestsellers(session: AsyncSession, limit: int) -> list[RankedBook]:
    copies = func.sum(OrderLine.quantity).label("copies")
    statement = (
        select(Book.id, Book.title, Author.name.label("author"), copies)
        .join(OrderLine, OrderLine.book_id == Book.id)
        .join(Order, Order.id == OrderLine.order_id)
        .join(Author, Author.id == Book.author_id)
        .where(Order.status != "cancelled")
        .group_by(Book.id, Book.title, Author.name)
        .order_by(copies.desc(), Book.id)
        .limit(limit)
    )
    return [RankedBook.model_validate(row) for row in await session.execute(statement)]


@dataclass
class Ranking:
    books: list[RankedBook] = field(default_factory=list)
    made_at: float = float("-inf")

    async def top(self, session: AsyncSession, limit: int) -> list[RankedBook]:
        if time.monotonic() - self.made_at > KEEP_SECONDS:
            self.books = await bestsellers(session, 100)
            self.made_at = time.monotonic()
        return self.books[:limit]
