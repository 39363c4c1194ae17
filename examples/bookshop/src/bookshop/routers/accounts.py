"""Getting in, and the newsletter."""

from fastapi import APIRouter, BackgroundTasks, HTTPException

from bookshop.db import SessionDep, SessionsDep
from bookshop.schemas import LoginIn, LoginOut, NewsletterIn
from bookshop.services import newsletter, people

router = APIRouter(tags=["accounts"])


@router.post("/auth/login")
async def log_in(session: SessionDep, credentials: LoginIn) -> LoginOut:
    known = await people.log_in(session, credentials.email, credentials.password)
    if known is None:
        raise HTTPException(401, "Unknown customer or wrong password")
    customer, token = known
    return LoginOut(customer_id=customer.id, token=token)


@router.post("/newsletter", status_code=202)
async def subscribe(
    session: SessionDep, sessions: SessionsDep, wish: NewsletterIn, background: BackgroundTasks
) -> dict[str, str]:
    subscriber = await newsletter.subscribe(session, wish.email)
    background.add_task(newsletter.welcome, sessions, subscriber.id)
    return {"status": "subscribed"}
