"""The basket."""

from fastapi import APIRouter

from bookshop.db import SessionDep
from bookshop.schemas import CartIn, CartQuote
from bookshop.services import pricing

router = APIRouter(prefix="/cart", tags=["cart"])


@router.post("/quote")
async def quote(session: SessionDep, cart: CartIn) -> CartQuote:
    return await pricing.quote_cart(session, cart.lines)
