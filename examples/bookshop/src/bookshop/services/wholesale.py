"""What the supplier has for us."""

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.models import Book
from bookshop.schemas import Stock, WholesaleOverview
from bookshop.services.suppliers import Supplier


async def newest_books(session: AsyncSession, limit: int) -> list[tuple[int, str]]:
    rows = await session.execute(select(Book.id, Book.title).order_by(Book.id.desc()).limit(limit))
    return [(key, title) for key, title in rows]


async def stock_line(supplier: Supplier, book_id: int, title: str) -> Stock:
    shelf = await supplier.stock(book_id)
    return Stock(book_id=book_id, title=title, available=shelf["available"])


async def stock_of_newest(session: AsyncSession, supplier: Supplier, limit: int) -> list[Stock]:
    books = await newest_books(session, limit)
    return [await stock_line(supplier, book_id, title) for book_id, title in books]


async def stock_levels(session: AsyncSession, supplier: Supplier, limit: int) -> list[Stock]:
    titles = dict(await newest_books(session, limit))
    shelves = await supplier.stock_of_many(list(titles))
    return [
        Stock(book_id=s["book_id"], title=titles[s["book_id"]], available=s["available"]) for s in shelves
    ]


def overview(desk: httpx.Client) -> WholesaleOverview:
    arrivals = desk.get("/arrivals").raise_for_status().json()
    carriers = desk.get("/carriers").raise_for_status().json()
    surcharges = desk.get("/surcharges").raise_for_status().json()
    closures = desk.get("/closures").raise_for_status().json()
    return WholesaleOverview(
        arriving_copies=sum(arrival["copies"] for arrival in arrivals),
        carriers=[carrier["name"] for carrier in carriers],
        fuel_percent=surcharges["fuel_percent"],
        closed_sites=[closure["site"] for closure in closures],
    )
