"""Prices as customers see them."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.models import Book, Setting
from bookshop.schemas import Bargain, CartLine, CartQuote

BARGAIN_CENTS = 900


async def shop_currency(session: AsyncSession) -> str:
    return await session.scalar(select(Setting.value).where(Setting.key == "currency")) or "EUR"


async def display_price(session: AsyncSession, cents: int) -> str:
    currency = await shop_currency(session)
    return f"{cents // 100}.{cents % 100:02d} {currency}"


async def bargains(session: AsyncSession, limit: int) -> list[Bargain]:
    cheap = (
        select(Book).where(Book.price_cents < BARGAIN_CENTS).order_by(Book.price_cents, Book.id).limit(limit)
    )
    return [
        Bargain(id=book.id, title=book.title, price=await display_price(session, book.price_cents))
        for book in await session.scalars(cheap)
    ]


async def quote_cart(session: AsyncSession, lines: Iterable[CartLine]) -> CartQuote:
    wanted = {line.book_id: line.quantity for line in lines}
    prices = await session.execute(select(Book.id, Book.price_cents).where(Book.id.in_(wanted)))
    priced = {book_id: cents * wanted[book_id] for book_id, cents in prices}
    copies = sum(wanted[book_id] for book_id in priced)
    return CartQuote(lines=len(priced), copies=copies, total_cents=sum(priced.values()))
