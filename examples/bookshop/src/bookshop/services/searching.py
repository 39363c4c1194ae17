"""Searches, and the pages that follow the first one."""

from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.models import Author, Book
from bookshop.schemas import Hit

MAX_HITS = 100


@dataclass
class Search:
    words: str
    hits: list[Hit]
    id: str = field(default_factory=lambda: uuid4().hex)


_searches: dict[str, Search] = {}


async def matching(session: AsyncSession, words: str) -> list[Hit]:
    start = words.lower()
    statement = (
        select(Book.id, Book.title, Author.name, Book.price_cents)
        .join(Author, Author.id == Book.author_id)
        .where(Book.sort_title >= start, Book.sort_title < start + "\uffff")
        .order_by(Book.sort_title, Book.id)
        .limit(MAX_HITS)
    )
    rows = await session.execute(statement)
    return [Hit(id=key, title=title, author=name, price_cents=cents) for key, title, name, cents in rows]


async def start_search(session: AsyncSession, words: str) -> Search:
    search = Search(words, await matching(session, words))
    _searches[search.id] = search
    return search


def find_search(search_id: str) -> Search | None:
    return _searches.get(search_id)
