"""The same read, done once: before the loop, handed down, or kept on the session; and what must not be."""

# ruff: noqa: E501 (expected texts are to the letter)

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.patches import Declined, Fix

from .cases import At, same
from .database import asked, fixed, refused

STATEMENT = "SELECT settings.value FROM settings WHERE settings.key = ?"

HOISTED = {
    "the read itself, under the name that it had": (
        """
        def page(session, books):
            found = []
            for book in books:
                currency = session.scalar(select(Setting.value).where(Setting.key == "currency"))
                found.append((book.price, currency))
            return found
        """,
        "session.scalar",
        """
        def page(session, books):
            found = []
            currency = session.scalar(select(Setting.value).where(Setting.key == "currency"))
            for book in books:
                found.append((book.price, currency))
            return found
        """,
    ),
    "the call of a function, under a new name": (
        """
        async def shop_currency(session):
            return await session.scalar(select(Setting.value).where(Setting.key == "currency"))


        async def page(session, books):
            # with prices
            return [f"{book.price} {await shop_currency(session)}" for book in books]
        """,
        "await session.scalar",
        """
        async def shop_currency(session):
            return await session.scalar(select(Setting.value).where(Setting.key == "currency"))


        async def page(session, books):
            currency = await shop_currency(session)
            # with prices
            return [f"{book.price} {currency}" for book in books]
        """,
    ),
    "out of both loops": (
        """
        def page(orders):
            for order in orders:
                for line in order.lines:
                    show(line, Setting.objects.get(key="currency"))
        """,
        "Setting.objects",
        """
        def page(orders):
            found = Setting.objects.get(key="currency")
            for order in orders:
                for line in order.lines:
                    show(line, found)
        """,
    ),
    "out of the inner loop only": (
        """
        def page(session, orders):
            for order in orders:
                for line in order.lines:
                    show(line, session.get(Customer, order.customer_id))
        """,
        "session.get",
        """
        def page(session, orders):
            for order in orders:
                found = session.get(Customer, order.customer_id)
                for line in order.lines:
                    show(line, found)
        """,
    ),
}


def ask(tmp_path: Path, source: str, needle: str, trigger: str | None = None) -> list[Fix | Declined]:
    between = "shop_currency" if "def shop_currency" in source else "page"
    return asked(
        tmp_path,
        "DB102",
        {"shop/app.py": source},
        At(needle, between),
        STATEMENT,
        At(trigger, "page") if trigger else None,
    )


@pytest.mark.parametrize("name", HOISTED)
def test_a_read_goes_before_the_loop(name: str, tmp_path: Path) -> None:
    source, needle, expected = HOISTED[name]
    trigger = "await shop_currency(session)}" if "def shop_currency" in source else None
    same(fixed(ask(tmp_path, source, needle, trigger), "hoist")["shop/app.py"], expected)


BETWEEN = """
async def shop_currency(session: AsyncSession, shop: int) -> str:
    return await session.scalar(select(Setting.value).where(Setting.key == "currency", Setting.shop == shop))


async def display(session: AsyncSession, cents: int, shop: int = 1) -> str:
    currency = await shop_currency(session, shop)  # of the shop
    return f"{cents} {currency}"


async def page(session: AsyncSession, books, shop):
    for book in books:
        show(await display(session, book.cents, shop=shop))
"""


def test_a_function_in_between_takes_the_value(tmp_path: Path) -> None:
    answers = ask(tmp_path, BETWEEN, "await session.scalar", "await display(")
    same(
        fixed(answers, "hand down")["shop/app.py"],
        """
        async def shop_currency(session: AsyncSession, shop: int) -> str:
            return await session.scalar(select(Setting.value).where(Setting.key == "currency", Setting.shop == shop))


        async def display(session: AsyncSession, cents: int, shop: int = 1, currency: str | None = None) -> str:
            if currency is None:
                currency = await shop_currency(session, shop)  # of the shop
            return f"{cents} {currency}"


        async def page(session: AsyncSession, books, shop):
            currency = await shop_currency(session, shop)
            for book in books:
                show(await display(session, book.cents, shop=shop, currency=currency))
        """,
    )


def test_a_function_of_its_own_keeps_its_answer_on_the_session(tmp_path: Path) -> None:
    text = fixed(ask(tmp_path, BETWEEN, "await session.scalar"), "kept on the session")["shop/app.py"]
    assert text.startswith(
        "async def shop_currency(session: AsyncSession, shop: int) -> str:\n"
        '    key = (__name__, "shop_currency", shop)\n'
        "    if key not in session.info:\n"
        "        session.info[key] = await session.scalar("
    )
    assert "    return session.info[key]\n" in text


READ = "async def read(session: AsyncSession, shop: int) -> Any:\n    return await session.scalar(shop)\n"
LIST = "return list(await session.scalars(shop))"


class _Memory:
    """A session that counts what it is asked."""

    def __init__(self) -> None:
        self.info: dict[object, object] = {}
        self.asked = 0

    def scalars(self, shop: int) -> list[int]:
        self.asked += 1
        return [shop, self.asked]


def memo(tmp_path: Path, source: str, others: dict[str, str] | None = None) -> list[Fix | Declined]:
    return asked(tmp_path, "DB102", {"shop/app.py": source, **(others or {})}, At("return ", "read"), STATEMENT)


def test_functions_of_one_name_do_not_share_a_place(tmp_path: Path) -> None:
    """Nor do callers share a list."""
    source = "def read(session: Session, shop: int) -> list[int]:\n    return session.scalars(shop).all()\n"
    text = fixed(memo(tmp_path, source), "kept on the session")["shop/app.py"].replace(".all()", "")
    books, authors = {"__name__": "shop.books", "Session": object}, {"__name__": "shop.authors", "Session": object}
    exec(text, books)
    exec(text, authors)
    session = _Memory()
    books["read"](session, 7).clear()  # type: ignore[operator]
    found = [module["read"](session, 7) for module in (books, books, authors)]  # type: ignore[operator]
    assert found == [[7, 1], [7, 1], [7, 2]]


def test_no_further_arguments(tmp_path: Path) -> None:
    source = "def read(session: Session) -> str:\n    return session.execute(ALL).scalar_one()\n"
    same(
        fixed(memo(tmp_path, source), "kept on the session")["shop/app.py"],
        """
        def read(session: Session) -> str:
            key = (__name__, "read")
            if key not in session.info:
                session.info[key] = session.execute(ALL).scalar_one()
            return session.info[key]
        """,
    )


def test_a_list_made_of_what_can_be_gone_through_once(tmp_path: Path) -> None:
    text = fixed(memo(tmp_path, READ.replace("return await session.scalar(shop)", LIST)), "kept on the session")
    assert "    return list(session.info[key])\n" in text["shop/app.py"]


CALLER = "\n\nasync def page(session: AsyncSession):\n    before = await read(session, 1)\n"
NOT_KEPT = {
    "any arguments": (READ.replace("shop: int", "*ids: int"), {}, "takes any arguments"),
    "any named arguments": (READ.replace("shop: int", "**by: int"), {}, "takes any arguments"),
    "an argument whose equal values differ": (READ.replace("int", "Decimal"), {}, "may not be fit for a key"),
    "one instant in two zones": (READ.replace("int", "datetime"), {}, "may not be fit for a key"),
    "scalars are gone through once": (READ.replace("scalar(", "scalars("), {}, "gone through once only"),
    "a result is gone through once": (READ.replace("scalar(", "execute("), {}, "gone through once only"),
    "so are scalars or nothing": (
        READ.replace("await session.scalar(shop)", "await session.scalars(shop) or None"),
        {},
        "gone through once only",
    ),
    "a coroutine is awaited once": (READ.replace("await ", ""), {}, "can be awaited once only"),
    "a plain function that hands on a coroutine": (
        "def read(session: SessionDep, shop: int):\n    return session.scalar(shop)\n" + CALLER,
        {},
        "is awaited by its callers",
    ),
    "an inner function": (
        "def serve(key):\n    def read(session: Session):\n        return session.get(Setting, key)\n",
        {},
        "an inner function",
    ),
    "its caller writes in between": (
        f"{READ}{CALLER}    await session.commit()\n    show(before, await read(session, 1))\n",
        {},
        "`page` changes rows",
    ),
    "its caller changes a row in between": (
        f"{READ}{CALLER}    before.value = 2\n    show(before, await read(session, 1))\n",
        {},
        "`page` changes rows",
    ),
    "its caller's caller writes": (
        f"{READ}{CALLER}    show(before)\n",
        {
            "shop/web.py": "from shop import app\n\n\nasync def change(session):\n    await app.page(session)\n"
            "    session.add(Setting())\n    await app.page(session)\n"
        },
        "`change` changes rows",
    ),
    "its caller calls what writes": (
        f"{READ}{CALLER}    await put(session, 2)\n    show(before, await read(session, 1))\n"
        "\n\nasync def put(session, value):\n    await session.flush()\n",
        {},
        "`put` changes rows, or may, and `page` leads to `read`",
    ),
}


@pytest.mark.parametrize("name", NOT_KEPT)
def test_not_kept_on_the_session(name: str, tmp_path: Path) -> None:
    source, others, reason = NOT_KEPT[name]
    assert reason in refused(memo(tmp_path, source, others))


DECLINED = {
    "what it asks for changes": (
        "def page(session, books):\n    for b in books:\n        show(session.get(Shop, b['shop_id']))\n",
        "changes from turn to turn",
    ),
    "a write lies in the loop": (
        "def page(session, books):\n    for b in books:\n        n = session.get(Shop, 1)\n        n.sold += 1\n"
        "        session.commit()\n",
        "writes to the database",
    ),
    "it waits for the answer to change": (
        "def page(session):\n    while not session.get(Job, 1).done:\n        wait()\n",
        "may be waiting for the answer",
    ),
    "it tries a few times": (
        "def page(session):\n    for _ in range(3):\n        if session.get(Job, 1):\n            break\n        time.sleep(1)\n",
        "may be waiting for the answer",
    ),
    "an argument is another one each time": (
        "def page(session, books):\n    for b in books:\n        show(session.get(Rate, utc_now()))\n",
        "not called from a loop",
    ),
    "no loop": ("def page(session):\n    return session.get(Shop, 1), other(session)\n", "not called from a loop"),
}


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    source, reason = DECLINED[name]
    assert reason in refused(ask(tmp_path, source, "session.get"))
