"""CA205 several make one answer at once: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

import pytest

from perfcrew.core.scene import Scene, Seen, Traced

from .build import App, Found, Shot, Silent, check_found, grouped, measured, run, scene, traced

SOURCE = """
async def ranking(redis):
    if (kept := await redis.get("ranking")) is None:  # read
        kept = await make()
        await redis.set("ranking", kept, ex=60)  # write
    return kept
"""


def asked(
    app: App,
    callers: int = 5,
    work: float = 30.0,
    key: str = "ranking",
    apart: float = 0.0,
    hits: int = 0,
    fills: bool = True,
    latency: float = 50.0,
    size: int = 50,
) -> Scene:
    """So many requests begin at the same time, or `apart` milliseconds; `hits` of them find it there."""
    app.write("books.py", SOURCE)
    read, write = app.frame("books.py", "# read", "ranking"), app.frame("books.py", "# write", "ranking")
    shots = []
    for number in range(callers):
        shot = Shot(repeat=0).wait(number * apart)
        one = key.replace("{}", str(number))
        if number >= callers - hits:
            shots.append(shot.wait(work + 5).cache("GET", one, [read], hit=True, size=size))
            continue
        shot.cache("GET", one, [read], hit=False).wait(work)
        shots.append(shot.cache("SET", one, [write], size=size, ttl=60) if fills else shot)
    return scene(app, traced([Shot()]), at_once=together(app, shots), measurements=(measured("latency", latency),))


def together(app: App, shots: list[Shot]) -> Traced:
    traces = tuple(shot.done(number) for number, shot in enumerate(shots))
    body = traced(shots).seen.body.model_copy(update={"at_once": len(shots)})
    return grouped(app, Traced(Seen("at-once", body), traces))


def in_one_request(app: App, apart: float) -> Scene:
    app.write("books.py", SOURCE)
    read, write = app.frame("books.py", "# read", "ranking"), app.frame("books.py", "# write", "ranking")
    shot = Shot(repeat=0)
    for number in range(4):
        shot.cache("GET", "ranking", [read], hit=False, at_ms=1 + number * apart)
    shot.wait(30).cache("SET", "ranking", [write], size=50)
    return scene(app, traced([shot, Shot(), Shot()]))


FOUND = {
    "all of them do the work": Found(asked, "books.py", "# read", "medium", subject="ranking"),
    "dear work is high": Found(lambda app: asked(app, work=400, latency=450), "books.py", "# read", "high"),
    "little by little": Found(lambda app: asked(app, apart=5), "books.py", "# read", "medium"),
    "the tasks of one request": Found(lambda app: in_one_request(app, 0.1), "books.py", "# read", "medium"),
}

SILENT: dict[str, Silent] = {
    "one makes it, the others wait": lambda app: asked(app, hits=4),
    "the window of a rate limit": lambda app: asked(app, key="limit:10.1.2.3", size=2),
    "two": lambda app: asked(app, callers=2),
    "each asks for a key of its own": lambda app: asked(app, key="book:{}"),
    "one after the other": lambda app: asked(app, apart=100),
    "work that is cheaper than waiting": lambda app: asked(app, work=1),
    "a flag that nobody sets": lambda app: asked(app, fills=False),
    "reads of one request, one after the other": lambda app: in_one_request(app, 2),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA205", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA205", app, build(app)) == []
