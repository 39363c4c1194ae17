"""HT403 large payload: cases that must be found, and look-alikes that must not."""

from typing import Any

import pytest

from perfcrew.core.evidence import Payload
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Silent, check_found, run, scene

SOURCE = """
async def feed(session):
    rows = await latest(session)
    return rows  # answer

async def choose(session):  # choose
    if session:
        return 1
    return 2
"""


def answer(
    app: App,
    sent: int,
    gzip: int | None = None,
    kind: str = "application/json",
    encoding: str = "",
    function: str = "feed",
    handler: bool = True,
    **rest: Any,
) -> Scene:
    app.write("feeds.py", SOURCE)
    body = Payload(
        content_type=kind,
        content_encoding=encoding,
        sent_bytes=sent,
        decoded_bytes=sent,
        gzip_bytes=sent // 8 if gzip is None else gzip,
        items_count=1000,
        **rest,
    )
    place = app.place("feeds.py", f"def {function}", function) if handler else None
    return scene(app, payload=Seen("payload-1", body), handler=place, key="GET /feeds/reviews")


FOUND = {
    "400 kB of JSON, not compressed": Found(lambda app: answer(app, 400_000), "feeds.py", "# answer", "medium"),
    "two megabytes": Found(lambda app: answer(app, 2_500_000), "feeds.py", "# answer", "high"),
    "120 kB that gzip would shrink": Found(lambda app: answer(app, 120_000), "feeds.py", "# answer", "low"),
    "large though compressed": Found(
        lambda app: answer(app, 400_000, 400_000, encoding="gzip"), "feeds.py", "# answer", "medium"
    ),
    "several returns: the handler": Found(
        lambda app: answer(app, 400_000, function="choose"), "feeds.py", "# choose", "medium"
    ),
    "HTML": Found(lambda app: answer(app, 400_000, kind="text/html; charset=utf-8"), "feeds.py", "# answer", "medium"),
}

SILENT: dict[str, Silent] = {
    "a small answer": lambda app: answer(app, 4_000),
    "60 kB": lambda app: answer(app, 60_000),
    "compressed": lambda app: answer(app, 120_000, 120_000, encoding="br"),
    "what gzip hardly shrinks": lambda app: answer(app, 150_000, 120_000),
    "a stream": lambda app: answer(app, 4_000_000, streamed=True, kind="text/csv"),
    "events": lambda app: answer(app, 4_000_000, kind="text/event-stream"),
    "a download": lambda app: answer(app, 4_000_000, headers={"Content-Disposition": "attachment; filename=a.json"}),
    "an image": lambda app: answer(app, 4_000_000, kind="image/png"),
    "a PDF": lambda app: answer(app, 900_000, kind="application/pdf"),
    "nobody knows where it is made": lambda app: answer(app, 400_000, handler=False),
    "not measured": lambda app: scene(app),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("HT403", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("HT403", app, build(app)) == []
