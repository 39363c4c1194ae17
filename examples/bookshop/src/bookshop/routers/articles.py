"""The shop's magazine."""

from typing import Any

from fastapi import APIRouter

from bookshop.db import SessionDep
from bookshop.deps import or_404
from bookshop.models import Article
from bookshop.params import Limit, Offset, RowId
from bookshop.schemas import ArticleDetail, ShareLink, TitleOut
from bookshop.services import magazine

router = APIRouter(prefix="/articles", tags=["articles"])


@router.get("", response_model=list[TitleOut])
async def list_articles(session: SessionDep, limit: Limit = 50, offset: Offset = 0) -> Any:
    return await magazine.latest_articles(session, limit, offset)


@router.get("/{article_id}", response_model=ArticleDetail)
async def read_article(session: SessionDep, article_id: RowId) -> Any:
    return or_404(await session.get(Article, article_id), "Article")


@router.get("/{article_id}/share-link")
async def share_article(session: SessionDep, article_id: RowId) -> ShareLink:
    article = or_404(await session.get(Article, article_id), "Article")
    return ShareLink(article_id=article.id, url=await magazine.share_url(article))
