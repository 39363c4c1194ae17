"""Orders."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from bookshop.db import SessionDep, SessionsDep
from bookshop.deps import or_404
from bookshop.params import Limit, Offset, RowId
from bookshop.schemas import OrderOut, OrderRow, OrderSummary
from bookshop.services import ordering

router = APIRouter(prefix="/orders", tags=["orders"])


@router.get("", response_model=list[OrderOut])
async def list_orders(session: SessionDep, limit: Limit = 20, offset: Offset = 0) -> Any:
    return await ordering.page_of_orders(session, limit, offset)


@router.get("/recent")
async def list_recent_orders(session: SessionDep, limit: Limit = 20) -> list[OrderSummary]:
    return await ordering.recent_orders(session, limit)


@router.get("/open", response_model=list[OrderRow])
async def list_open_orders(session: SessionDep) -> Any:
    return await ordering.orders_to_pack(session)


@router.get("/export.csv", response_class=StreamingResponse)
async def export_orders(sessions: SessionsDep) -> StreamingResponse:
    return StreamingResponse(ordering.orders_as_csv(sessions), media_type="text/csv")


@router.get("/{order_id}", response_model=OrderOut)
async def read_order(session: SessionDep, order_id: RowId) -> Any:
    return or_404(await ordering.order_with_lines(session, order_id), "Order")
