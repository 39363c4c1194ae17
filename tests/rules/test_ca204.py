"""CA204 one round trip a key: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, measured, run, scene, traced, warm

SOURCE = """
async def shelf(redis, ids):
    return [await redis.get(f"book:{i}") for i in ids]  # loop

async def other(redis, ids):
    return [await cached(redis, i) for i in ids]  # caller
"""
CLIENT = """
async def cached(redis, i):
    return await redis.get(f"book:{i}")  # client
"""


def shelf(
    app: App,
    count: int = 10,
    command: str = "GET",
    ms: float = 1.0,
    gap: float | None = None,
    pattern: str = "book:{}",
    client: bool = False,
    wait: float = 5.0,
    together: bool = False,
    waits: tuple[float, ...] = (),
) -> Scene:
    """Five warm requests with as many round trips each. `gap`: milliseconds between their starts."""
    app.write("books.py", SOURCE)
    app.write("client.py", CLIENT)
    frames = [app.frame("books.py", "# loop", "shelf")]
    if client:
        frames = [app.frame("client.py", "# client", "cached"), app.frame("books.py", "# caller", "other")]

    def one() -> Shot:
        shot = Shot()
        keys = [pattern.replace("{}", str(n)) for n in range(count)]
        if together:
            return shot.cache(command, keys, frames, hit=True, ms=ms, commands=1 if command == "MGET" else count)
        for number, key in enumerate(keys):
            shot.cache(command, key, frames, hit=True, ms=ms, at_ms=None if gap is None else 1 + number * gap)
        return shot.wait(wait)

    return scene(app, traced(warm(one, 5)), measurements=(measured("latency", 60.0),) if ms > 3 else ())


FOUND = {
    "a get for each": Found(shelf, "books.py", "# loop", "medium", subject="book:{n}"),
    "many of them": Found(lambda app: shelf(app, 50, ms=4), "books.py", "# loop", "high"),
    "few and short": Found(lambda app: shelf(app, 6, ms=0.1), "books.py", "# loop", "low"),
    "through a client of its own": Found(lambda app: shelf(app, client=True), "books.py", "# caller", "medium"),
    "writes": Found(lambda app: shelf(app, command="SET"), "books.py", "# loop", "medium"),
    "fields of a hash": Found(lambda app: shelf(app, command="HGET", pattern="book:7 f{}"), "books.py", "# loop",
                              "medium"),
    "deletions": Found(lambda app: shelf(app, command="DEL"), "books.py", "# loop", "medium"),
}  # fmt: skip


def at_two_lines(app: App) -> Scene:
    app.write("books.py", "\n".join(f"redis.get('a:{n}')  # line {n}" for n in range(6)))
    frames = [[app.frame("books.py", f"# line {n}")] for n in range(6)]

    def one() -> Shot:
        shot = Shot()
        for number, stack in enumerate(frames):
            shot.cache("GET", f"a:{number}", stack, hit=True)
        return shot

    return scene(app, traced(warm(one)))


SILENT: dict[str, Silent] = {
    "one key that is waited for": lambda app: shelf(app, pattern="book:7"),
    "one counter": lambda app: shelf(app, command="INCR", pattern="views"),
    "one MGET": lambda app: shelf(app, command="MGET", together=True),
    "a pipeline": lambda app: shelf(app, together=True),
    "four": lambda app: shelf(app, 4),
    "all at the same time": lambda app: shelf(app, gap=0.1),
    "lines of their own": at_two_lines,
    "waiting for work": lambda app: shelf(app, command="BLPOP"),
    "scripts": lambda app: shelf(app, command="EVALSHA"),
    "messages": lambda app: shelf(app, command="PUBLISH"),
    "in one request of many": lambda app: scene(app, traced([*(Shot() for _ in range(9))]), key="GET /books"),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA204", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA204", app, build(app)) == []


def test_who_follows_a_list_from_key_to_key_is_less_sure(app: App) -> None:
    app.write("nodes.py", "def last(r, key):\n    while key:\n        key = r.hget(key, 'next')  # follow\n")
    frames = [app.frame("nodes.py", "# follow", "last")]

    def one() -> Shot:
        shot = Shot()
        for number in range(10):
            shot.cache("HGET", f"node:{number} next", frames, hit=True, ms=1.0)
        return shot.wait(5)

    (found,) = run("CA204", app, scene(app, traced(warm(one, 5))))
    assert found.confidence == 0.6
    assert run("CA204", app, shelf(app))[0].confidence == 0.9
