"""The one place where anything is caught: our hooks must never raise into the target."""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar

from . import writer

Function = TypeVar("Function", bound=Callable[..., Any])
_MOST_OF_ONE_KIND = 3
_seen: dict[str, int] = {}


def guarded(function: Function) -> Function:
    """`function`, but an error in it becomes a note of the hello record and the result None."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        # Whatever a hook of ours gets wrong, the target's own call has to go on; nothing is hidden by it,
        # the note says which hook is blind.
        except Exception as error:  # noqa: BLE001
            report(function.__qualname__, error)
            return None

    return call  # type: ignore[return-value]


def report(where: str, error: BaseException) -> None:
    """Note a failure, at most three times for one place."""
    count = _seen[where] = _seen.get(where, 0) + 1
    if count <= _MOST_OF_ONE_KIND:
        writer.note(f"{where} failed: {type(error).__name__}: {str(error)[:300]}")
