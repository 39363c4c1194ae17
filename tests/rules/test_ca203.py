"""CA203 keys that last for ever: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

import pytest

from perfcrew.core.evidence import CacheServer, KeyGroup
from perfcrew.core.scene import ApplicationScene, Scene, Seen

from .build import App, Found, Shot, Silent, application, check_found, run, scene, traced

SOURCE = """
def keep(redis, key, value):
    redis.set(key, value)  # write

def end(redis, key):
    redis.expire(key, 60)  # end
"""


def written(
    app: App,
    pattern: str = "book:{}",
    count: int = 4,
    ttl: float | None = None,
    command: str = "SET",
    ended: str = "",
    missed: bool = True,
) -> Scene:
    """Each request writes a key of its own."""
    app.write("books.py", SOURCE)
    frames, ends = [app.frame("books.py", "# write", "keep")], [app.frame("books.py", "# end", "end")]
    shots = []
    for number in range(count):
        key = pattern.replace("{}", str(number))
        shot = Shot(repeat=number // 2, request=number % 2)
        if missed:
            shot.cache("HGET" if command.startswith("H") else "GET", key, frames, hit=False)
        shot.cache(command, key, frames, size=100, ttl=ttl)
        if ended:
            shot.cache(ended, key.split(" ")[0], ends, ttl=60 if ended == "EXPIRE" else None)
        shots.append(shot)
    return scene(app, traced(shots), key="GET /books/{id}", requests=("/books/1", "/books/2"))


def on_server(app: App, total: int) -> ApplicationScene:
    group = KeyGroup(
        pattern="book:{n}", keys_count=4, estimated_count=4, without_ttl_count=4, total_bytes=total, type="string"
    )
    body = CacheServer(
        version="7", keys_count=4, sampled_count=4, hits_count=0, misses_count=4, evicted_count=0, expired_count=0,
        commands_count=8, used_bytes=1, peak_bytes=1, resident_bytes=1, fragmentation_share=1, limit_bytes=0,
        policy="noeviction", groups=(group,),
    )  # fmt: skip
    return application(app, written(app), caches=(Seen("server", body),))


FOUND = {
    "one for each book": Found(written, "books.py", "# write", "medium", subject="book:{n}"),
    "found on the server": Found(lambda app: on_server(app, 4000), "books.py", "# write", "medium"),
    "much of it": Found(lambda app: on_server(app, 40_000_000), "books.py", "# write", "high"),
    "hashes": Found(lambda app: written(app, "book:{} title", command="HSET"), "books.py", "# write", "medium"),
}

SILENT: dict[str, Silent] = {
    "data that are kept in hashes": lambda app: written(app, "cart:{} items", command="HSET", missed=False),
    "data that are kept as text": lambda app: written(app, missed=False),
    "a time that is kept": lambda app: written(app, command="SET KEEPTTL"),
    "with a time to live": lambda app: written(app, ttl=60),
    "given one later": lambda app: written(app, ended="EXPIRE"),
    "deleted": lambda app: written(app, ended="DEL"),
    "one key for all": lambda app: written(app, "books"),
    "two of them": lambda app: written(app, count=2),
    "a counter": lambda app: written(app, command="INCR"),
    "a queue": lambda app: written(app, command="RPUSH"),
    "fields of one hash": lambda app: written(app, "books {}", command="HSET"),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("CA203", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("CA203", app, build(app)) == []
