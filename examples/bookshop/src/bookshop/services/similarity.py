"""Titles that customers mistake for one another."""

import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.models import Book
from bookshop.schemas import SimilarTitle

CANDIDATES = 250
SHOWN = 8


def edit_distance(left: str, right: str) -> int:
    previous = list(range(len(right) + 1))
    for row, ours in enumerate(left, start=1):
        current = [row]
        for column, theirs in enumerate(right, start=1):
            replaced = previous[column - 1] + (ours != theirs)
            current.append(min(previous[column] + 1, current[-1] + 1, replaced))
        previous = current
    return previous[-1]


def closest(title: str, candidates: list[tuple[int, str]]) -> list[SimilarTitle]:
    scored = [(edit_distance(title, name), key, name) for key, name in candidates]
    return [
        SimilarTitle(id=key, title=name, distance=distance) for distance, key, name in sorted(scored)[:SHOWN]
    ]


async def similar_titles(session: AsyncSession, book: Book) -> list[SimilarTitle]:
    others = select(Book.id, Book.title).where(Book.id != book.id).order_by(Book.id.desc()).limit(CANDIDATES)
    candidates = [(key, name) for key, name in await session.execute(others)]
    return await asyncio.to_thread(closest, book.title, candidates)
