"""The supplier's HTTP API: stock, wholesale prices, shipping quotes, contracts."""

from types import TracebackType
from typing import Any, Self

import httpx


class Supplier:
    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.http = httpx.AsyncClient(base_url=self.base_url, timeout=5)
        self.desk = httpx.Client(base_url=self.base_url, timeout=5)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.desk.close()
        await self.http.aclose()

    async def _get(self, path: str, **query: str) -> Any:
        response = await self.http.get(path, params=query)
        response.raise_for_status()
        return response.json()

    async def stock(self, book_id: int) -> dict[str, Any]:
        return await self._get(f"/stock/{book_id}")

    async def stock_of_many(self, book_ids: list[int]) -> list[dict[str, Any]]:
        return await self._get("/stock", ids=",".join(map(str, book_ids))) if book_ids else []

    async def price(self, book_id: int) -> dict[str, Any]:
        return await self._get(f"/prices/{book_id}")

    async def quote(self, book_id: int) -> dict[str, Any]:
        return await self._get(f"/quotes/{book_id}")

    async def contract(self, sku: str) -> dict[str, Any]:
        return await self._get(f"/contracts/{sku}")
