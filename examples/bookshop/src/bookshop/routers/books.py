"""The catalogue."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from bookshop.db import SessionDep
from bookshop.deps import BlurbsDep, BookDep, SupplierDep, or_404
from bookshop.params import BookId, Limit, Offset
from bookshop.schemas import (
    Barcode,
    Bargain,
    Blurb,
    BookDetail,
    BookPage,
    BookRow,
    Card,
    Contract,
    Dispatch,
    Inventory,
    Offer,
    ReviewOut,
    SimilarTitle,
)
from bookshop.services import barcodes, catalogue, delivery, inventory, pricing, similarity

router = APIRouter(prefix="/books", tags=["books"])
Prefix = Annotated[str, Query(min_length=1, max_length=40, pattern=r"^[\w ,'-]+$", examples=["the l"])]


@router.get("")
async def list_books(session: SessionDep, limit: Limit = 20, offset: Offset = 0) -> BookPage:
    return await catalogue.page_of_books(session, limit, offset)


@router.get("/bargains")
async def list_bargains(session: SessionDep, limit: Limit = 20) -> list[Bargain]:
    return await pricing.bargains(session, limit)


@router.get("/lookup", response_model=list[BookRow])
async def look_up(session: SessionDep, prefix: Prefix = "the", limit: Limit = 20) -> Any:
    return await catalogue.titles_from(session, prefix, limit)


@router.get("/{book_id}", response_model=BookDetail)
async def read_book(session: SessionDep, book_id: BookId) -> Any:
    return or_404(await catalogue.book_with_author(session, book_id), "Book")


@router.get("/{book_id}/reviews", response_model=list[ReviewOut])
async def read_reviews(session: SessionDep, book: BookDep, limit: Limit = 20, offset: Offset = 0) -> Any:
    return await catalogue.reviews_of(session, book.id, limit, offset)


@router.get("/{book_id}/similar")
async def read_similar(session: SessionDep, book: BookDep) -> list[SimilarTitle]:
    return await similarity.similar_titles(session, book)


@router.get("/{book_id}/card")
async def read_card(session: SessionDep, book: BookDep) -> Card:
    return await catalogue.card(session, book)


@router.get("/{book_id}/inventory", response_model=Inventory)
async def read_inventory(session: SessionDep, book_id: BookId) -> Any:
    return or_404(await inventory.settled_level(session, book_id), "Stock level")


@router.get("/{book_id}/barcode")
async def read_barcode(book: BookDep) -> Barcode:
    return Barcode(isbn=book.isbn, modules=barcodes.ean13(book.isbn))


@router.get("/{book_id}/blurb")
async def read_blurb(book: BookDep, blurbs: BlurbsDep) -> Blurb:
    return Blurb(book_id=book.id, text=await blurbs.blurb(book))


@router.get("/{book_id}/dispatch")
async def read_dispatch(book: BookDep, supplier: SupplierDep) -> Dispatch:
    return await delivery.dispatch(supplier, book.id)


@router.get("/{book_id}/offer")
async def read_offer(book: BookDep, supplier: SupplierDep) -> Offer:
    return await delivery.offer(supplier, book.id)


@router.get("/{book_id}/contract")
async def read_contract(book: BookDep, supplier: SupplierDep) -> Contract:
    return await delivery.contract(supplier, book.id)
