"""The desk itself: the handles that its tools need, and how what they say becomes evidence."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfcrew import __version__
from perfcrew.core.columns import GENERAL
from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Evidence, Method
from perfcrew.core.thinking import Lookup
from perfcrew.crew.desk.files import Files
from perfcrew.crew.fence import fenced
from perfcrew.ledger import Ledger

Measure = Callable[[str, str], Awaitable[Sequence[Evidence]]]
"""Runs an instrument on an endpoint; gives what it put into the ledger. PerfcrewError where it can't."""
_LONGEST = 8000
"""Characters of one answer of a tool."""
MOST_LOOKUPS = 80
"""Of one desk. A single answer of a model may ask for hundreds at once, and no limit of calls counts them."""


def _as_it_is(text: str) -> str:
    return text


@dataclass
class Desk:
    """One specialist's desk in one run."""

    who: str
    ledger: Ledger
    run: str
    root: Path
    endpoints: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    """Those that may be run here, of those on the card."""
    measure: Measure | None = None
    redact: Callable[[str], str] = _as_it_is
    """Takes the secrets that the target was given out of a text."""
    lookups: int = 0
    files: Files = field(init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _asked: int = 0

    def __post_init__(self) -> None:
        self.files = Files(self.root)

    @asynccontextmanager
    async def in_turn(self) -> AsyncIterator[None]:
        """One tool after the other, as many as there may be. UsageError for those beyond."""
        self._asked += 1
        if self._asked > MOST_LOOKUPS:
            raise UsageError(f"{MOST_LOOKUPS} lookups are made: no more", do="answer with what you have")
        async with self._turn:
            yield

    def held(self) -> Mapping[str, Evidence]:
        """The evidence of the run by id, as it is now."""
        return {e.id: e for e in self.ledger.find(self.run)}

    def keep(self, tool: str, asked: Mapping[str, Any], said: str, *, refused: bool = False) -> str:
        """Keep what a tool said as evidence; gives it as the model reads it: the id, then the text in its fence."""
        self.lookups += 1
        asked, said = _writable(asked), self.redact(said)
        said = said.encode("utf-8", "replace").decode()
        if len(said) > _LONGEST:
            said = f"{said[:_LONGEST]}\n(cut here: ask for less)"
        body = Lookup(tool=tool, asked=asked, said=said, refused=refused)
        told = json.dumps([tool, body.asked, said], sort_keys=True, default=str)
        slot = f"lookup/{self.who}/{hashlib.sha256(told.encode()).hexdigest()[:12]}"
        item = self.ledger.put(self.run, slot, body, Method(tool="perfcrew crew", version=__version__))
        return self.told(item, said, "refused" if refused else tool)

    def told(self, item: Evidence, said: str, what: str) -> str:
        """An item as a model reads it."""
        subject = "" if item.subject == GENERAL else f"{item.subject}\n"
        return f"{item.id} ({what})\n{fenced(self.redact(subject + said))}"


def _writable(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without halves of characters, which a model can name in JSON and no file can hold."""
    found: dict[str, Any] = json.loads(json.dumps(asked, ensure_ascii=False, default=str).encode("utf-8", "replace"))
    return found
