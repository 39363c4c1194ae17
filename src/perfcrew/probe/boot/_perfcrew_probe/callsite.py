"""Which line of the application is this: stacks with the frames that a reader can act on.

Three things hide the line, and each is undone here: SQLAlchemy runs async work in a greenlet, so that the
caller's frames hang on another greenlet; aiosqlite works in a thread of its own (`handed` carries the stack
over); a library's coroutine given to `gather` starts with no caller at all (`spawned` remembers it).
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any, NamedTuple

APP, LIBRARY, DRIVER, LOOP, HIDDEN = "app", "library", "driver", "loop", "hidden"
_MOST_FRAMES = 40
_MOST_WALKED = 600
_SITE = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
_DRIVERS = frozenset(
    [
        "sqlalchemy",
        "sqlmodel",
        "aiosqlite",
        "sqlean",
        "pysqlite3",
        "sqlcipher3",
        "asyncpg",
        "psycopg",
        "psycopg_pool",
        "psycopg2",
        "databases",
        "pymysql",
        "MySQLdb",
        "aiomysql",
        "asyncmy",
        "redis",
        "django_redis",
        "pymemcache",
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "requests",
        "urllib3",
        "aiohttp",
        "opentelemetry",
        "wrapt",
        "greenlet",
    ]
)
_DRIVER_PATHS = ("django/db/", "django/core/cache/", "django/utils/asyncio.py", "django/utils/functional.py")
_STDLIB = os.path.dirname(os.__file__) + os.sep
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LOOP_FILES = frozenset(
    os.path.join(os.path.dirname(os.__file__), "asyncio", name)
    for name in ("events.py", "runners.py", "base_events.py")
)


class _Place(NamedTuple):
    """A file's role and its absolute path: both are asked for at every frame of every span."""

    role: str
    path: str


Stack = list[list[Any]]
handed: ContextVar[Stack | None] = ContextVar("perfcrew_handed", default=None)
spawned: ContextVar[Stack | None] = ContextVar("perfcrew_spawned", default=None)
_places: dict[str, _Place] = {}
_boundaries: set[CodeType] = set()
_root = os.getcwd() + os.sep
_hidden: tuple[str, ...] = (_HERE,)


def configure(root: str, deps: str) -> None:
    """`root` is the application's source; what lies in `deps` was brought along by the probe."""
    global _root, _hidden
    _root = os.path.join(root, "")
    _hidden = (_HERE, os.path.join(deps, "")) if deps else (_HERE,)


def boundary(function: Any) -> Any:
    """Mark a function of ours that calls the application for one request: frames outside it are the server's."""
    _boundaries.add(function.__code__)
    return function


def role(filename: str) -> str:
    """Whose file this is: the application's, a library's, a driver's (ORMs too), or one not worth showing."""
    return _place(filename).role


def _place(filename: str) -> _Place:
    known = _places.get(filename)
    if known is None:
        known = _places[filename] = _Place(_role(filename), os.path.abspath(filename))
    return known


def _role(filename: str) -> str:
    if filename.startswith(("<", *_hidden)):
        return HIDDEN
    if filename in _LOOP_FILES:
        return LOOP
    path = os.path.abspath(filename)
    inner = os.sep + path[len(_root) :] if path.startswith(_root) else ""
    if inner and not any(mark in inner for mark in _SITE):
        return APP
    for mark in _SITE:
        _, found, rest = path.rpartition(mark)
        if found:
            return DRIVER if _is_driver(rest) else LIBRARY
    return HIDDEN if path.startswith(_STDLIB) else LIBRARY


def _is_driver(rest: str) -> bool:
    return rest.split(os.sep, 1)[0] in _DRIVERS or rest.replace(os.sep, "/").startswith(_DRIVER_PATHS)


def stack() -> Stack:
    """The current stack, innermost first: [absolute file, line, qualified name] each."""
    given = handed.get()
    if given is not None:
        return given
    found = of_frame(sys._getframe(1))
    if not any(role(entry[0]) == APP for entry in found):
        found = found + (spawned.get() or [])
    return found


def of_frame(frame: FrameType | None) -> Stack:
    """The stack from `frame` outward, up to the probe's own request boundary or the event loop."""
    frames: Stack = []
    last_app = -1
    for one in itertools.islice(_outward(frame), _MOST_WALKED):
        code = one.f_code
        place = _places.get(code.co_filename) or _place(code.co_filename)
        kind = place.role
        if kind == LOOP or code in _boundaries:
            break
        if kind == HIDDEN or (kind == DRIVER and not frames):
            continue
        if kind == APP:
            last_app = len(frames)
        frames.append([place.path, one.f_lineno, _name(code)])
    return _cut(frames, last_app)


def _cut(frames: Stack, last_app: int) -> Stack:
    """Drop what lies outside the outermost frame of the application, and keep one of its frames at any depth."""
    if last_app < 0:
        return frames[:_MOST_FRAMES]
    frames = frames[: last_app + 1]
    near = frames[:_MOST_FRAMES]
    if any(role(entry[0]) == APP for entry in near):
        return near
    first_app = next(entry for entry in frames if role(entry[0]) == APP)
    return [*near[:-1], first_app]


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of this greenlet, with those of a suspended SQLAlchemy greenlet, then of the parents."""
    module = sys.modules.get("greenlet")
    current = module.getcurrent() if module is not None else None
    while frame is not None:
        while frame is not None:
            if frame.f_code.co_name == "greenlet_spawn":
                yield from _suspended(frame, current)
            yield frame
            frame = frame.f_back
        current = getattr(current, "parent", None)
        frame = getattr(current, "gr_frame", None)


def _suspended(frame: FrameType, current: Any) -> Iterator[FrameType]:
    """SQLAlchemy awaits the driver in the parent greenlet while the caller's frames wait in the child."""
    child = frame.f_locals.get("context")
    inner = None if child is current else getattr(child, "gr_frame", None)
    while inner is not None:
        yield inner
        inner = inner.f_back


def _name(code: CodeType) -> str:
    return getattr(code, "co_qualname", code.co_name)
