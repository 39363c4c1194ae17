"""HTTP calls one after another: at the same time where they may be."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from perfcrew.core.patches import Fix

from .cases import At, proposed, reasons, same, variant

THREADS = """
import httpx


def page(desk: httpx.Client, key):
    # What arrives.
    a = desk.get("/a").raise_for_status().json()
    sure = True
    b = desk.get(f"/b/{key}").json()  # by key
    rows = b["rows"]
    c = httpx.get("http://localhost/c").json()
    return a, rows, c, sure
"""
REFUSED = {
    "a session of requests": (
        "import requests\n\n\ndef page():\n    with requests.Session() as web:\n        a = web.get('/a').json()\n"
        "        b = web.get('/b').json()\n    return a, b\n",
        "b = ",
        "not known to be safe to share",
    ),
    "a client that nothing is known of": (
        "def page(web):\n    a = web.get('/a').json()\n    b = web.get('/b').json()\n    return a, b\n",
        "b = ",
        "no other call",
    ),
    "writes": (
        "import httpx\n\n\ndef page(web: httpx.Client):\n    a = web.get('/a').json()\n    b = web.post('/b').json()\n"
        "    return a, b\n",
        "b = ",
        "order of writes",
    ),
    "needs the first": (
        "import httpx\n\n\ndef page(web: httpx.Client):\n    a = web.get('/a').json()\n"
        "    b = web.get(a['next']).json()\n    return a, b\n",
        "b = ",
        "needs `a`",
    ),
    "Flask's request": (
        "import requests\n\n\ndef page():\n    a = requests.get(request.args['a'])\n"
        "    b = requests.get(request.args['b'])\n    return a, b\n",
        "b = ",
        "request's own thread",
    ),
    "a loop": (
        "import requests\n\n\ndef page(urls):\n    return [requests.get(url) for url in urls]\n",
        "return",
        "in a loop of sync code",
    ),
}


def test_threads(tmp_path: Path) -> None:
    text = variant(proposed(tmp_path, "HT402", THREADS, At("b = ", "page")), "ThreadPoolExecutor")
    expected = """
        from concurrent.futures import ThreadPoolExecutor

        import httpx


        def page(desk: httpx.Client, key):
            sure = True
            with ThreadPoolExecutor(max_workers=3) as pool:
                calls = [
                    # What arrives.
                    pool.submit(lambda: desk.get("/a").raise_for_status().json()),
                    pool.submit(lambda: desk.get(f"/b/{key}").json()),  # by key
                    pool.submit(lambda: httpx.get("http://localhost/c").json()),
                ]
            a, b, c = (call.result() for call in calls)
            rows = b["rows"]
            return a, rows, c, sure
        """
    same(text, expected)


def test_async_code_is_gathered(tmp_path: Path) -> None:
    before = """
        import asyncio


        async def page(web: httpx.AsyncClient):
            a = await web.get("/a")
            b = await web.get("/b")
            return a, b
        """
    after = """
        import asyncio


        async def page(web: httpx.AsyncClient):
            a, b = await asyncio.gather(web.get("/a"), web.get("/b"))
            return a, b
        """
    same(variant(proposed(tmp_path, "HT402", before, At("b = ", "page")), "gather"), after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, needle, why = REFUSED[name]
    answers = proposed(tmp_path, "HT402", before, At(needle, "page"))
    assert not [a for a in answers if isinstance(a, Fix)]
    assert why in reasons(answers)


def test_the_calls_meet_at_the_other_side(tmp_path: Path) -> None:
    """A real server that answers only once all three calls are there."""
    meet = threading.Barrier(3, timeout=10)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            meet.wait()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"rows": "%s"}' % self.path.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        text = variant(proposed(tmp_path, "HT402", THREADS, At("b = ", "page")), "ThreadPoolExecutor")
        space: dict[str, object] = {}
        exec(text.replace("http://localhost", url), space)
        import httpx

        with httpx.Client(base_url=url, timeout=15) as desk:
            answer = space["page"](desk, 7)  # type: ignore[operator]
        server.shutdown()
    assert answer == ({"rows": "/a"}, "/b/7", {"rows": "/c"}, True)
