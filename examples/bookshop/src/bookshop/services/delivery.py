"""When a book leaves the supplier, and by whom."""

import json
from typing import Any
from urllib.request import urlopen

from bookshop.schemas import Contract, Dispatch, Offer
from bookshop.services.suppliers import Supplier


def read_quote(base_url: str, book_id: int) -> dict[str, Any]:
    with urlopen(f"{base_url}/quotes/{book_id}", timeout=5) as response:
        return json.load(response)


async def dispatch(supplier: Supplier, book_id: int) -> Dispatch:
    quote = read_quote(supplier.base_url, book_id)
    return Dispatch(book_id=book_id, carrier=quote["carrier"], days=quote["days"])


async def offer(supplier: Supplier, book_id: int) -> Offer:
    shelf = await supplier.stock(book_id)
    price = await supplier.price(book_id)
    parcel = await supplier.quote(book_id)
    return Offer(
        book_id=book_id,
        available=shelf["available"],
        wholesale_cents=price["wholesale_cents"],
        carrier=parcel["carrier"],
        days=parcel["days"],
    )


async def contract(supplier: Supplier, book_id: int) -> Contract:
    shelf = await supplier.stock(book_id)
    terms = await supplier.contract(shelf["sku"])
    standing = await supplier.contract(terms["contract"])
    return Contract(
        book_id=book_id, sku=shelf["sku"], contract=terms["contract"], discount=standing["discount"]
    )
