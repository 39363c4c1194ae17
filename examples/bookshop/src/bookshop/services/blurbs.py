"""One-sentence blurbs, written by a language model behind an OpenAI-compatible API."""

import httpx

from bookshop.cache import Cache
from bookshop.models import Book

DAY_SECONDS = 86_400


class BlurbWriter:
    def __init__(self, client: httpx.AsyncClient, base_url: str, model: str, cache: Cache) -> None:
        self._client = client
        self._url = base_url.rstrip("/").removesuffix("/v1") + "/v1/chat/completions"
        self._model = model
        self._cache = cache

    async def blurb(self, book: Book) -> str:
        key = f"blurb:{self._model}:{book.isbn}"
        if known := await self._cache.get(key):
            return known
        text = await self._ask(f"Write one sentence that sells “{book.title}: {book.subtitle}”.")
        await self._cache.put(key, text, DAY_SECONDS)
        return text

    async def _ask(self, prompt: str) -> str:
        body = {"model": self._model, "max_tokens": 60, "messages": [{"role": "user", "content": prompt}]}
        response = await self._client.post(self._url, json=body)
        response.raise_for_status()
        return response.json()["choices"][0]["message"]["content"]
