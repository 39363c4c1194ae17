"""Blocking calls leave the event loop; and calls that may not leave their thread."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from perfcrew.core.patches import Fix
from perfcrew.rules.fixes import propose

from .cases import FILE, PYPROJECT, At, application, finding, proposed, reasons, same, variant, write


class Done(NamedTuple):
    """Source before, the blocking line, the line that leads there, the variant, source after."""

    before: str
    at: At
    trigger: At | None
    variant: str
    after: str


DONE = {
    "a sync helper is handed to a thread": Done(
        """
        from urllib.request import urlopen


        def ask(url: str, timeout: int = 5) -> str:
            with urlopen(url, timeout=timeout) as answer:
                return answer.read()


        async def page(url: str) -> str:
            return ask(url, timeout=3).strip()  # slow
        """,
        At("with urlopen", "ask"),
        At("# slow", "page"),
        "asyncio.to_thread",
        """
        import asyncio
        from urllib.request import urlopen


        def ask(url: str, timeout: int = 5) -> str:
            with urlopen(url, timeout=timeout) as answer:
                return answer.read()


        async def page(url: str) -> str:
            return (await asyncio.to_thread(ask, url, timeout=3)).strip()  # slow
        """,
    ),
    "time.sleep by another name": Done(
        """
        from time import sleep as nap

        async def page() -> str:
            nap(0.1)
            return "done"
        """,
        At("nap(0.1)", "page"),
        None,
        "asyncio.sleep",
        """
        import asyncio
        from time import sleep as nap

        async def page() -> str:
            await asyncio.sleep(0.1)
            return "done"
        """,
    ),
    "in a comprehension, in a try, with all kinds of arguments": Done(
        """
        import asyncio
        import requests

        async def page(urls, **more):
            try:
                return [requests.get(url, *urls, timeout=3, **more).json() for url in urls]
            except OSError:
                return []
        """,
        At("requests.get", "page"),
        None,
        "asyncio.to_thread",
        """
        import asyncio
        import requests

        async def page(urls, **more):
            try:
                return [(await asyncio.to_thread(requests.get, url, *urls, timeout=3, **more)).json() for url in urls]
            except OSError:
                return []
        """,
    ),
    "without arguments, over several lines": Done(
        """
        import asyncio

        from shop.slow import fetch_all, fetch

        async def page(key):
            first = fetch(
                key,  # of the page
            )
            return first, fetch_all()
        """,
        At("first = fetch(", "page"),
        None,
        "asyncio.to_thread",
        """
        import asyncio

        from shop.slow import fetch_all, fetch

        async def page(key):
            first = await asyncio.to_thread(fetch,
                key,  # of the page
            )
            return first, fetch_all()
        """,
    ),
    "a handler that awaits nothing": Done(
        """
        import requests
        from fastapi import APIRouter

        router = APIRouter()


        @router.get("/page")
        async def page(url: str) -> str:
            # The other side is slow.
            return requests.get(url).text
        """,
        At("requests.get", "page"),
        None,
        "def handler",
        """
        import requests
        from fastapi import APIRouter

        router = APIRouter()


        @router.get("/page")
        def page(url: str) -> str:
            # The other side is slow.
            return requests.get(url).text
        """,
    ),
    "an async client": Done(
        """
        import requests

        async def page(url: str) -> str:
            # The other side is slow.
            answer = requests.get(url, params={"q": 1}, timeout=3)
            answer.raise_for_status()
            return answer.json()
        """,
        At("requests.get", "page"),
        None,
        "httpx.AsyncClient",
        """
        import httpx
        import requests

        async def page(url: str) -> str:
            # The other side is slow.
            async with httpx.AsyncClient(follow_redirects=True) as client:
                answer = await client.get(url, params={"q": 1}, timeout=3)
            answer.raise_for_status()
            return answer.json()
        """,
    ),
}

REFUSED = {
    "an AsyncSession is handed over": (
        """
        def load(session, key):
            return session.execute(key).all()

        async def page(session: AsyncSession, key):
            return load(session, key)  # here
        """,
        At("session.execute", "load"),
        At("# here", "page"),
        "`session`",
    ),
    "a connection made outside": (
        """
        import sqlite3

        conn = sqlite3.connect("shop.db")

        def load(key):
            return conn.execute("select 1").fetchall()

        async def page(key):
            return load(key)  # here
        """,
        At("conn.execute", "load"),
        At("# here", "page"),
        "belongs to the loop's thread",
    ),
    "asyncio's own objects": (
        """
        import asyncio, time

        def load(key):
            time.sleep(1)
            asyncio.get_running_loop().call_soon(print)

        async def page(key):
            return load(key)  # here
        """,
        At("time.sleep", "load"),
        At("# here", "page"),
        "belongs to the loop's thread",
    ),
    "a generator does its work later": (
        """
        import time

        def load(key):
            time.sleep(1)
            yield key

        async def page(key):
            return list(load(key))  # here
        """,
        At("time.sleep", "load"),
        At("# here", "page"),
        "generator",
    ),
    "changes its module's names": (
        """
        import time

        def load(key):
            global last
            last = key
            time.sleep(1)

        async def page(key):
            return load(key)  # here
        """,
        At("time.sleep", "load"),
        At("# here", "page"),
        "changes names outside",
    ),
    "within a generator expression": (
        """
        import requests

        async def page(urls):
            return sum(requests.get(url).status_code for url in urls)
        """,
        At("requests.get", "page"),
        None,
        "generator, where nothing can be awaited",
    ),
    "opening a file alone": (
        """
        async def page(path):
            with open(path) as file:
                return file.read()
        """,
        At("open(path)", "page"),
        None,
        "handing over `open` alone",
    ),
    "no name that is known": (
        """
        async def page(thing):
            return thing.value + 1
        """,
        At("thing.value", "page"),
        None,
        "can't be told",
    ),
    "two that could be it": (
        """
        async def page(desk, config):
            return desk.get(config.get("url")).json()
        """,
        At("desk.get", "page"),
        None,
        "can't be told",
    ),
    "a service is no handler": (
        """
        import requests

        async def page(urls):
            return (requests.get(url) for url in urls)
        """,
        At("requests.get", "page"),
        None,
        "no handler",
    ),
    "errors of requests are caught": (
        """
        import requests

        async def page(url):
            try:
                answer = requests.get(url)
            except requests.ConnectionError:
                return None
            return answer.json()
        """,
        At("requests.get", "page"),
        None,
        "errors of requests are caught",
    ),
}
PARTLY = {"errors of requests are caught"}


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    case = DONE[name]
    same(variant(proposed(tmp_path, "RT301", case.before, case.at, case.trigger), case.variant), case.after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, at, trigger, why = REFUSED[name]
    answers = proposed(tmp_path, "RT301", before, at, trigger)
    assert why in reasons(answers)
    assert name in PARTLY or not [a for a in answers if isinstance(a, Fix)]


def test_a_handler_that_others_call_stays_async(tmp_path: Path) -> None:
    before = DONE["a handler that awaits nothing"].before
    others = {"shop/other.py": "from shop.app import page\n\n\nasync def again(url):\n    return await page(url)\n"}
    answers = proposed(tmp_path, "RT301", before, At("requests.get", "page"), others=others)
    assert "def handler" not in {a.variant for a in answers if isinstance(a, Fix)}


def test_the_line_is_found_again_after_others_moved_it(tmp_path: Path) -> None:
    """The finding is of the tree as it was; the worktree has a line more above."""
    case = DONE["a sync helper is handed to a thread"]
    found, moved = tmp_path / "found", tmp_path / "moved"
    for root in (found, moved):
        write(root, {FILE: case.before, "pyproject.toml": PYPROJECT})
    text = (moved / FILE).read_text()
    (moved / FILE).write_text(
        text.replace("    return ask", "    url = url.lower()\n    url = url.strip()\n    return ask")
    )
    seen = finding(found, "RT301", case.at, case.trigger)
    assert "to_thread(ask, url, timeout=3)" in variant(propose(moved, seen, application(found)), "asyncio.to_thread")
