"""Authors."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import select

from bookshop.db import SessionDep
from bookshop.deps import or_404
from bookshop.models import Author
from bookshop.params import Limit, Offset, RowId
from bookshop.schemas import AuthorOut

router = APIRouter(prefix="/authors", tags=["authors"])


@router.get("", response_model=list[AuthorOut])
async def list_authors(session: SessionDep, limit: Limit = 50, offset: Offset = 0) -> Any:
    by_name = select(Author).order_by(Author.name, Author.id)
    return (await session.scalars(by_name.limit(limit).offset(offset))).all()


@router.get("/{author_id}", response_model=AuthorOut)
async def read_author(session: SessionDep, author_id: RowId) -> Any:
    return or_404(await session.get(Author, author_id), "Author")
