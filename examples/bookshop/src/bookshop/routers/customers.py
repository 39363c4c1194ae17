"""Customers and what they did on the site."""

from typing import Any

from fastapi import APIRouter

from bookshop.db import SessionDep
from bookshop.deps import or_404
from bookshop.models import Customer
from bookshop.params import Limit, Offset, RowId
from bookshop.schemas import Activity, CustomerOut
from bookshop.services import people

router = APIRouter(prefix="/customers", tags=["customers"])


@router.get("", response_model=list[CustomerOut])
async def list_customers(session: SessionDep, limit: Limit = 20, offset: Offset = 0) -> Any:
    return await people.page_of_customers(session, limit, offset)


@router.get("/{customer_id}", response_model=CustomerOut)
async def read_customer(session: SessionDep, customer_id: RowId) -> Any:
    return or_404(await session.get(Customer, customer_id), "Customer")


@router.get("/{customer_id}/activity", response_model=list[Activity])
async def read_activity(session: SessionDep, customer_id: RowId, limit: Limit = 20) -> Any:
    customer = or_404(await session.get(Customer, customer_id), "Customer")
    return await people.latest_activity(session, customer.id, limit)
