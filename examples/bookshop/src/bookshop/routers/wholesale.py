"""What the supplier has for us."""

from typing import Annotated

from fastapi import APIRouter, Query

from bookshop.db import SessionDep
from bookshop.deps import SupplierDep
from bookshop.schemas import Stock, WholesaleOverview
from bookshop.services import wholesale

router = APIRouter(prefix="/wholesale", tags=["wholesale"])
Few = Annotated[int, Query(ge=1, le=50)]


@router.get("/stock")
async def read_stock(session: SessionDep, supplier: SupplierDep, limit: Few = 10) -> list[Stock]:
    return await wholesale.stock_of_newest(session, supplier, limit)


@router.get("/levels")
async def read_levels(session: SessionDep, supplier: SupplierDep, limit: Few = 10) -> list[Stock]:
    return await wholesale.stock_levels(session, supplier, limit)


@router.get("/overview")
def read_overview(supplier: SupplierDep) -> WholesaleOverview:
    return wholesale.overview(supplier.desk)
