"""Wrap a method so that a span lies around each call of it. All hooks of functions are made of these two."""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any, Callable, Optional

from .carrier import Span
from .guard import guarded

Begin = Callable[..., Optional[Span]]
Finish = Callable[..., None]
_layer: ContextVar[str] = ContextVar("perfcrew_layer", default="")


def wrap(
    owner: Any, name: str, begin: Begin, finish: Finish | None = None, layer: str = "", active: bool = False
) -> None:
    """Around `owner.name`: `span = begin(*args, **kwargs)`, the call, `finish(span, result, *args, **kwargs)`.

    Where `begin` gives None the call is left alone. Within a `layer` calls of the same layer are left alone
    too (requests over urllib3). An `active` span is the parent of what begins meanwhile. A method that
    `owner` does not have is passed over.
    """
    original = getattr(owner, name, None)
    if original is None:
        return
    call = _Around(original, begin, finish, layer, active)

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        span = call.begin(*args, **kwargs)
        if span is None:
            return original(*args, **kwargs)
        tokens = call.enter(span)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            call.fail(span, error)
            raise
        finally:
            call.leave(span, tokens)
        call.finish(span, result, *args, **kwargs)
        return result

    setattr(owner, name, replacement)


def wrap_async(
    owner: Any, name: str, begin: Begin, finish: Finish | None = None, layer: str = "", active: bool = False
) -> None:
    """As `wrap`, for a coroutine function."""
    original = getattr(owner, name, None)
    if original is None:
        return
    call = _Around(original, begin, finish, layer, active)

    @functools.wraps(original)
    async def replacement(*args: Any, **kwargs: Any) -> Any:
        span = call.begin(*args, **kwargs)
        if span is None:
            return await original(*args, **kwargs)
        tokens = call.enter(span)
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            call.fail(span, error)
            raise
        finally:
            call.leave(span, tokens)
        call.finish(span, result, *args, **kwargs)
        return result

    setattr(owner, name, replacement)


class _Around:
    """The guarded steps before and after."""

    def __init__(self, original: Any, begin: Begin, finish: Finish | None, layer: str, active: bool) -> None:
        self._begin, self._finish, self._layer, self._active = begin, finish, layer, active
        self.__qualname__ = getattr(original, "__qualname__", repr(original))

    @guarded
    def begin(self, *args: Any, **kwargs: Any) -> Span | None:
        if self._layer and _layer.get() == self._layer:
            return None
        return self._begin(*args, **kwargs)

    @guarded
    def enter(self, span: Span) -> Any:
        token = _layer.set(self._layer or _layer.get())
        return token, span.carrier.enter(span) if self._active else None

    @guarded
    def leave(self, span: Span, tokens: Any) -> None:
        token, span_token = tokens
        _layer.reset(token)
        if span_token is not None:
            span.carrier.leave(span_token)

    @guarded
    def fail(self, span: Span, error: BaseException) -> None:
        span.fail(error)
        span.end()

    @guarded
    def finish(self, span: Span, result: Any, *args: Any, **kwargs: Any) -> None:
        try:
            if self._finish is not None:
                self._finish(span, result, *args, **kwargs)
        finally:
            span.end()
