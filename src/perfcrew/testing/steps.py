"""The scripting language: what a scripted model does, one step a request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from perfcrew.core.base import Noun, parsed
from perfcrew.core.errors import UsageError

Do = Literal[
    "say", "use", "answer", "fail", "reset", "cut", "malformed", "misshapen", "truncated", "empty", "refuse", "hang"
]


class Use(Noun):
    """A tool that the model calls. `raw`: its arguments as text, where they are to be no JSON."""

    name: str
    arguments: dict[str, Any] = {}
    raw: str | None = None

    @property
    def text(self) -> str:
        """The arguments as they go over the wire."""
        return json.dumps(self.arguments) if self.raw is None else self.raw


class Step(Noun):
    """What is done with one request. The functions of this module make them; a YAML script has their fields."""

    do: Do
    text: str = ""
    uses: tuple[Use, ...] = ()
    value: Any = None
    """Of `answer`: the structured answer, given in whichever way the request asks for it."""
    tool: str | None = None
    """Of `answer`: the tool whose arguments it becomes, where no schema was sent; else the last tool of the request."""
    stop: Literal["end", "length"] = "end"
    status: int = 500
    retry_after: float | None = None
    retry_after_ms: float | None = None
    retry_after_date: str | None = None
    retry_delay: str | None = None
    """As Google's RetryInfo says it, such as `1.5s`."""
    error: str = ""
    """The error's type, where it is to be another than the usual one of its status."""
    midway: bool = False
    """Of `fail`: as an event of a stream that has begun. Of `cut`: the stream ends cleanly, but too early."""
    tokens_in: int = 1000
    tokens_out: int = 100
    tokens_cached: int = 0
    delay_s: float = 0.0
    times: int | None = 1
    """For how many requests; None: for all that come."""


def say(text: str, **more: Any) -> Step:
    """An answer in words."""
    return Step(do="say", text=text, **more)


def use(*uses: Use | tuple[str, Mapping[str, Any]], text: str = "", **more: Any) -> Step:
    """Calls of tools, several at once where several are given: `use(("query", {"sql": "select 1"}))`."""
    made = tuple(u if isinstance(u, Use) else Use(name=u[0], arguments=dict(u[1])) for u in uses)
    return Step(do="use", uses=made, text=text, **more)


def answer(value: Any, tool: str | None = None, **more: Any) -> Step:
    """A structured answer: by the schema of the request, or as the arguments of a tool."""
    return Step(do="answer", value=value, tool=tool, **more)


def fail(status: int, **more: Any) -> Step:
    """An error, with the provider's usual body; `retry_after`, `retry_after_ms`, `retry_after_date`, `retry_delay`."""
    return Step(do="fail", status=status, **more)


def reset(**more: Any) -> Step:
    """The connection is reset before anything is answered."""
    return Step(do="reset", **more)


def cut(text: str = "An answer that never", **more: Any) -> Step:
    """The connection ends within the answer; `midway=True`: a stream ends cleanly, without its last events."""
    return Step(do="cut", text=text, **more)


def malformed(**more: Any) -> Step:
    """Status 200 and no JSON, as a proxy's page is."""
    return Step(do="malformed", **more)


def misshapen(**more: Any) -> Step:
    """Status 200 and JSON, of another form than the protocol's."""
    return Step(do="misshapen", **more)


def truncated(**more: Any) -> Step:
    """Status 200 and JSON that stops in its middle."""
    return Step(do="truncated", text="An answer whose JSON stops", **more)


def empty(**more: Any) -> Step:
    """An answer without content."""
    return Step(do="empty", tokens_out=0, **more)


def refuse(text: str = "I can't help with that.", **more: Any) -> Step:
    """The model refuses, in its provider's way."""
    return Step(do="refuse", text=text, **more)


def overlong(text: str = "And so on, and so", **more: Any) -> Step:
    """An answer cut at its greatest length."""
    return Step(do="say", text=text, stop="length", **more)


def hang(seconds: float, **more: Any) -> Step:
    """Nothing is answered for so long; then the connection is closed."""
    return Step(do="hang", delay_s=seconds, **more)


def script(text: str, where: str = "script") -> dict[str, tuple[Step, ...]]:
    """A script from YAML: a list of steps, or a mapping from what a question must contain to such a list.

    A step is a mapping of Step's fields; `{say: "text"}` is short for `{do: say, text: "text"}`, and so are
    `{fail: 429}`, `{answer: {…}}`, `{use: [{name: …, arguments: {…}}]}`. Raises UsageError where it is none.
    """
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"not YAML: {error}", where=where, do="correct the line") from None
    parts = content if isinstance(content, dict) else {"": content}
    return {str(key): tuple(_step(item, where) for item in _list(items, where)) for key, items in parts.items()}


def read(path: Path) -> dict[str, tuple[Step, ...]]:
    """The script of a file."""
    return script(path.read_text(encoding="utf-8"), str(path))


_SHORT = {"say": "text", "fail": "status", "answer": "value", "use": "uses", "refuse": "text", "hang": "delay_s"}


def _step(item: Any, where: str) -> Step:
    if isinstance(item, str):
        item = {"do": item}
    if not isinstance(item, dict):
        raise UsageError(f"{item!r} is no step", where=where, do="write a mapping, such as {say: done}")
    word = next((w for w in _SHORT if w in item and "do" not in item), None)
    if word:
        item = {"do": word, _SHORT[word]: item[word], **{k: v for k, v in item.items() if k != word}}
    return parsed(Step, item, where)


def _list(items: Any, where: str) -> Iterable[Any]:
    if not isinstance(items, list):
        raise UsageError("holds no list of steps", where=where, do="write - before each step")
    return items
