"""For the people behind the counter."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from bookshop.db import SessionDep
from bookshop.deps import or_404
from bookshop.models import Setting
from bookshop.schemas import Duty
from bookshop.services import customs

router = APIRouter(tags=["admin"])
PUBLIC_KEYS = ("currency", "shop_name", "support_email")
Country = Annotated[str, Query(pattern=r"^[A-Z]{2}$", examples=["NO"])]
Heading = Annotated[str, Query(pattern=r"^49\d\d$", examples=["4901"])]
Cents = Annotated[int, Query(ge=0, le=10_000_000)]


@router.get("/admin/customs-duty")
async def customs_duty(country: Country = "NO", heading: Heading = "4901", value_cents: Cents = 4500) -> Duty:
    duty = or_404(customs.duty_cents(country, heading, value_cents), "Tariff")
    return Duty(country=country, heading=heading, value_cents=value_cents, duty_cents=duty)


@router.get("/settings")
async def settings(session: SessionDep) -> dict[str, str]:
    rows = await session.execute(select(Setting.key, Setting.value).where(Setting.key.in_(PUBLIC_KEYS)))
    return {key: value for key, value in rows}
