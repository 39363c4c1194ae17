"""CA202 a cache that seldom has the answer: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfcrew.core.scene import ApplicationScene, Scene

from .build import App, Found, Shot, Silent, application, check_found, lives, measured, run, scene, traced

SOURCE = """
async def book(redis, key):
    if (kept := await redis.get(key)) is None:  # read
        kept = await make()  # make
        await redis.set(key, kept, ex=1)  # write
    return kept

async def drop(redis, key):
    await redis.delete(key)  # delete
"""


def shop(
    app: App,
    hits: str,
    keys: tuple[str, ...] = ("book:1",),
    ttl: float | None = 60.0,
    fills: bool = True,
    drops: bool = False,
    work: float = 20.0,
    latency: float | None = None,
    requests: int = 1,
    command: str = "GET",
    size: int = 50,
    endpoint: str = "GET /books/{id}",
) -> Scene:
    """A request a letter, a second apart: `h` a hit, `m` a miss that is filled. The first one is cold."""
    app.write("books.py", SOURCE)
    read, write, delete = (app.frame("books.py", f"# {name}", "book") for name in ("read", "write", "delete"))
    shots = []
    for number, letter in enumerate(hits):
        key = keys[number % len(keys)]
        shot = Shot(repeat=number // requests, request=number % requests)
        shot.cache(command, key, [read], hit=letter == "h", size=size)
        if letter == "m":
            shot.wait(work)
            if fills:
                shot.cache("SET", key, [write], size=size, ttl=ttl)
        if drops:
            shot.cache("DEL", key, [delete])
        shots.append(shot.wait(2))
    rest = {} if latency is None else {"measurements": (measured("latency", latency),)}
    return scene(app, traced(shots), key=endpoint, **rest)


def with_curve(app: App, **more: object) -> Scene:
    one = shop(app, "m" * 8, ttl=0.5)
    return replace(one, ttl=(lives("book:{n}", **more),))  # type: ignore[arg-type]


def finding(app: App, **more: object) -> str:
    return str(run("CA202", app, shop(app, **more))[0].prose.text)  # type: ignore[arg-type]


def pages(count: int) -> tuple[str, ...]:
    return tuple(f"book:1:{1763700000 + n}" for n in range(count))


FOUND = {
    "it ends before it is asked again": Found(
        lambda app: shop(app, "mmmmmmmm", ttl=0.5), "books.py", "# read", "medium", subject="book:{n}"
    ),
    "each request asks for another key": Found(lambda app: shop(app, "m" * 8, keys=pages(8)), "books.py", "# read",
                                               "medium"),
    "it is deleted by every request": Found(lambda app: shop(app, "m" * 8, drops=True), "books.py", "# read", "medium"),
    "it is gone before its time": Found(lambda app: shop(app, "m" * 8), "books.py", "# read", "medium"),
    "it hits too seldom": Found(lambda app: shop(app, "mhmhmhmhm", ttl=1.5), "books.py", "# read", "low"),
    "dear work is high": Found(lambda app: shop(app, "m" * 8, ttl=0.5, work=300, latency=400), "books.py", "# read",
                               "high"),
}  # fmt: skip


def absent(app: App) -> ApplicationScene:
    """Keys of one book are filled, those of another, which there is not, never."""
    there, gone = shop(app, "mhhhhhhh"), shop(app, "mmmmmmmm", keys=("book:2",), fills=False)
    return application(app, there, gone)


FOUND["nothing is kept for what is not there"] = Found(absent, "books.py", "# read", "low")

FOUND["with what times to live would give"] = Found(with_curve, "books.py", "# read", "medium")
FOUND["no time to live would do"] = Found(
    lambda app: with_curve(app, advised=None, writes=9), "books.py", "# read", "medium"
)

SILENT: dict[str, Silent] = {
    "marks of what was done": lambda app: shop(app, "m" * 8, keys=pages(8), size=1),
    "a key for each payment": lambda app: shop(app, "m" * 8, keys=pages(8), endpoint="POST /payments"),
    "it hits": lambda app: shop(app, "mhhhhhhhh"),
    "it hits often enough": lambda app: shop(app, "mhhhhmhhhhh", ttl=4.0),
    "cold requests alone": lambda app: shop(app, "mmmmmmmm", keys=pages(8), requests=8),
    "too few reads to say": lambda app: shop(app, "mmmm", ttl=0.5),
    "a flag that nobody sets": lambda app: shop(app, "m" * 8, fills=False),
    "asking whether there is one": lambda app: shop(app, "m" * 8, command="EXISTS"),
    "a queue that is empty": lambda app: shop(app, "m" * 8, command="LPOP"),
    "members of a set": lambda app: shop(app, "m" * 8, command="SISMEMBER"),
    "no cache at all": lambda app: scene(app, traced([Shot(repeat=n) for n in range(8)])),
    "nothing was instrumented": lambda app: scene(app, traced([Shot()], instrumented=False)),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA202", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA202", app, build(app)) == []


@pytest.mark.parametrize(("more", "said"), [
    ({"hits": "m" * 8, "ttl": 0.5}, "time to live was over"), ({"hits": "m" * 8, "keys": pages(8)}, "finer"),
    ({"hits": "m" * 8, "drops": True}, "deleted since"), ({"hits": "m" * 8}, "gone before its time"),
])  # fmt: skip
def test_the_reason_is_told(app: App, more: dict[str, object], said: str) -> None:
    assert said in finding(app, **more)


def test_the_least_time_to_live_is_advised_with_the_table(app: App) -> None:
    (found,) = run("CA202", app, with_curve(app))
    assert "a time to live of 30 s is the least that meets the target: 82 % of the reads would hit" in found.prose.text
    assert "ttl-curve" in found.evidence
    assert "600 s" in found.hypotheses[0].recipe
