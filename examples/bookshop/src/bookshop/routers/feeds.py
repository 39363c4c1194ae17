"""What partners read from us."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from bookshop.db import SessionDep
from bookshop.schemas import SyndicatedReview
from bookshop.services import syndication

router = APIRouter(prefix="/feeds", tags=["feeds"])


@router.get("/reviews", response_model=list[SyndicatedReview])
async def feed_of_reviews(session: SessionDep) -> Any:
    return await syndication.latest_reviews(session)


@router.get("/ticker", response_class=StreamingResponse)
async def ticker() -> StreamingResponse:
    return StreamingResponse(syndication.ticker(), media_type="text/event-stream")
