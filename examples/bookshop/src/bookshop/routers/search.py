"""Searching by title, page by page."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from bookshop.db import SessionDep
from bookshop.deps import or_404
from bookshop.params import Offset
from bookshop.schemas import SearchPage
from bookshop.services import searching

router = APIRouter(tags=["search"])
PAGE = 10
Words = Annotated[str, Query(min_length=1, max_length=60, pattern=r"^[\w ,'-]+$", examples=["the"])]
SearchId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


def page(search: searching.Search, offset: int) -> SearchPage:
    return SearchPage(search_id=search.id, total=len(search.hits), items=search.hits[offset : offset + PAGE])


@router.get("/search")
async def search(session: SessionDep, q: Words = "the") -> SearchPage:
    return page(await searching.start_search(session, q), 0)


@router.get("/searches/{search_id}")
async def continue_search(search_id: SearchId, offset: Offset = PAGE) -> SearchPage:
    return page(or_404(searching.find_search(search_id), "Search"), offset)
