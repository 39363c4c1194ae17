"""CA209 a cache that costs more than it saves: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, measured, run, scene, traced

SOURCE = """
def name(redis, key):
    if (kept := redis.get(key)) is None:  # read
        kept = make()  # make
        redis.set(key, kept)  # write
    return kept
"""


def read(
    app: App,
    hit_ms: float = 2.0,
    work: float = 1.0,
    hits: str = "hhhhhh",
    calls: bool = False,
    fills: bool = True,
    latency: float | None = None,
    times: int = 1,
) -> Scene:
    app.write("books.py", SOURCE)
    at = {name: [app.frame("books.py", f"# {name}", "name")] for name in ("read", "make", "write")}
    first = Shot(repeat=0).cache("GET", "name:1", at["read"], hit=False, ms=hit_ms)
    if calls:
        first.http("http://names/1", at["make"], ms=work)
    else:
        first.wait(work)
    shots = [first.cache("SET", "name:1", at["write"], size=5, ttl=60) if fills else first]
    for number, letter in enumerate(hits, 1):
        shot = Shot(repeat=number)
        for _ in range(times):
            shot.cache("GET", "name:1", at["read"], hit=letter == "h", size=5, ms=hit_ms)
        shots.append(shot.wait(3))
    return scene(app, traced(shots), measurements=(measured("latency", latency),) if latency else ())


FOUND = {
    "the work is shorter than the trip": Found(read, "books.py", "# read", "low", subject="name:{n}"),
    "it hits half of the time": Found(lambda app: read(app, hits="hmhhmh", work=2.5), "books.py", "# read", "low"),
    "it takes much of the request": Found(lambda app: read(app, hit_ms=8, latency=20), "books.py", "# read", "medium"),
}

SILENT: dict[str, Silent] = {
    "the work is longer": lambda app: read(app, work=20),
    "it spares a call": lambda app: read(app, calls=True),
    "it never hits": lambda app: read(app, hits="mmmmmm"),
    "nothing is known of the work": lambda app: read(app, fills=False),
    "too few reads": lambda app: read(app, hits="hh"),
    "no time to speak of": lambda app: read(app, hit_ms=0.2, work=0.1),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA209", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA209", app, build(app)) == []
