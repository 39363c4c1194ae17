"""What endpoints ask for besides a session."""

from typing import Annotated, TypeVar

from fastapi import Depends, HTTPException, Request

from bookshop.db import SessionDep
from bookshop.models import Book
from bookshop.params import BookId
from bookshop.services.blurbs import BlurbWriter
from bookshop.services.ranking import Ranking
from bookshop.services.suppliers import Supplier

Found = TypeVar("Found")


def or_404(found: Found | None, what: str) -> Found:
    if found is None:
        raise HTTPException(404, f"{what} not found")
    return found


def supplier_of(request: Request) -> Supplier:
    return request.app.state.supplier


def blurbs_of(request: Request) -> BlurbWriter:
    return request.app.state.blurbs


def ranking_of(request: Request) -> Ranking:
    return request.app.state.ranking


async def existing_book(session: SessionDep, book_id: BookId) -> Book:
    return or_404(await session.get(Book, book_id), "Book")


SupplierDep = Annotated[Supplier, Depends(supplier_of)]
BlurbsDep = Annotated[BlurbWriter, Depends(blurbs_of)]
RankingDep = Annotated[Ranking, Depends(ranking_of)]
BookDep = Annotated[Book, Depends(existing_book)]
