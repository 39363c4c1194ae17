"""Customers: who they are, what they did, how they get in."""

import asyncio
import hashlib
import hmac
import secrets

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bookshop.models import Customer, Event

SCRYPT_COST = 2**14


def scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=SCRYPT_COST, r=8, p=1)


def hash_password(password: str, salt: bytes) -> str:
    return f"{salt.hex()}${scrypt(password, salt).hex()}"


def matches(password: str, stored: str) -> bool:
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(scrypt(password, bytes.fromhex(salt)).hex(), digest)


async def log_in(session: AsyncSession, email: str, password: str) -> tuple[Customer, str] | None:
    customer = await session.scalar(select(Customer).where(Customer.email == email))
    if customer is None or not await asyncio.to_thread(matches, password, customer.password_hash):
        return None
    return customer, secrets.token_urlsafe(24)


async def page_of_customers(session: AsyncSession, limit: int, offset: int) -> list[Customer]:
    return list(await session.scalars(select(Customer).order_by(Customer.id).limit(limit).offset(offset)))


async def latest_activity(session: AsyncSession, customer_id: int, limit: int) -> list[Event]:
    theirs = select(Event).where(Event.customer_id == customer_id)
    return list(await session.scalars(theirs.order_by(Event.happened_at.desc()).limit(limit)))
