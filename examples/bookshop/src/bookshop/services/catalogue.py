"""Finding and listing books."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from bookshop.models import Book, Review, Setting
from bookshop.schemas import BookPage, BookRow, Card


async def page_of_books(session: AsyncSession, limit: int, offset: int) -> BookPage:
    total = await session.scalar(select(func.count()).select_from(Book))
    rows = await session.scalars(select(Book).order_by(Book.sort_title, Book.id).limit(limit).offset(offset))
    return BookPage(total=total or 0, items=[BookRow.model_validate(book) for book in rows])


async def book_with_author(session: AsyncSession, book_id: int) -> Book | None:
    return await session.get(Book, book_id, options=[joinedload(Book.author)])


async def titles_from(session: AsyncSession, prefix: str, limit: int) -> list[Book]:
    start = prefix.lower()
    within = (Book.sort_title >= start) & (Book.sort_title < start + "\uffff")
    rows = await session.scalars(select(Book).where(within).order_by(Book.sort_title).limit(limit))
    return list(rows)


async def reviews_of(session: AsyncSession, book_id: int, limit: int, offset: int) -> list[Review]:
    statement = (
        select(Review)
        .where(Review.book_id == book_id)
        .options(selectinload(Review.customer))
        .order_by(Review.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return list(await session.scalars(statement))


async def card(session: AsyncSession, book: Book) -> Card:
    currency = await session.get(Setting, "currency")
    return Card(
        id=book.id,
        title=book.title,
        price_cents=book.price_cents,
        currency=currency.value if currency else "EUR",
    )
