"""The shop's magazine."""

import asyncio
import hashlib

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.models import Article

LINK_KEY = b"bookshop-share-links"
LINK_ROUNDS = 20_000


async def latest_articles(session: AsyncSession, limit: int, offset: int) -> list[Article]:
    newest = select(Article).order_by(Article.published_on.desc(), Article.id.desc())
    return list(await session.scalars(newest.limit(limit).offset(offset)))


def sign(text: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(), LINK_KEY, LINK_ROUNDS).hex()[:24]


async def share_url(article: Article) -> str:
    signature = await asyncio.to_thread(sign, f"{article.id}:{article.published_on}")
    return f"/articles/{article.id}?share={signature}"
