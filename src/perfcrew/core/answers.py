"""What two running instances answer: whether a change kept the answers, the data, and what it leaves behind.

Text of the target's stays out of these nouns: numbers are shown, texts by their length and a digest.
"""

from __future__ import annotations

from typing import Literal

from perfcrew.core.base import Noun

Role = Literal["measured", "held out", "wrong input", "after a write", "another user"]
Outcome = Literal["equal", "different", "unknown"]
Name = Literal[
    "changes an answer",
    "special-cases the measured requests",
    "changes the answer to wrong input",
    "serves stale answers",
    "answers one user's data to another",
    "changes what is written",
    "writes when it is read",
    "leaks processes",
    "leaks threads",
    "leaks open files",
    "leaks sockets",
    "opens a port",
    "takes much more memory",
]


class Mask(Noun):
    """What may differ, learned from the base alone: by endpoint, entries such as `value $.items[].token`.

    An endpoint without entries was learned to answer always alike; one that is missing was not learned at all. The
    first word of an entry is what may differ there: `value` (its type may not), `type`, `presence`, `order` and
    `length` of a list, `keys` of an object, `header`, `text`, `words` of a text, `bytes`, `status`.
    """

    endpoints: dict[str, tuple[str, ...]] = {}
    tables: dict[str, tuple[str, ...]] = {}
    """By table, the columns that two runs of the base leave different; `*` where the rows themselves are."""

    def of(self, endpoint: str) -> frozenset[str]:
        """The entries of one endpoint."""
        return frozenset(self.endpoints.get(endpoint, ()))

    def widened(self, endpoint: str, entries: frozenset[str]) -> Mask:
        """The mask with these entries more."""
        if endpoint in self.endpoints and entries <= self.of(endpoint):
            return self
        both = {**self.endpoints, endpoint: tuple(sorted(self.of(endpoint) | entries))}
        return self.model_copy(update={"endpoints": both})

    def joined(self, other: Mask) -> Mask:
        """What may differ by either of two masks, as learned from more than two instances."""
        return Mask(endpoints=_both(self.endpoints, other.endpoints), tables=_both(self.tables, other.tables))


def _both(one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(sorted({*one.get(key, ()), *other.get(key, ())})) for key in sorted({*one, *other})}


class Refusal(Noun):
    """A reason by name to discard a change; `why` holds figures and places."""

    name: Name
    why: str
    subject: str = "application"


class Difference(Noun):
    """One thing that differs. `where` is a JSON path, a header's name or a place in a page."""

    endpoint: str
    request: str
    """Method, path and query, with the values of parameters that read as secrets left out."""
    role: Role
    what: str
    where: str
    base: str
    change: str


class AnswersVerdict(Noun):
    """Whether the change answers as the base does, to the measured requests and to others."""

    kind: Literal["answers"] = "answers"
    outcome: Outcome
    measured_count: int
    held_out_count: int
    wrong_input_count: int
    other_user_count: int = 0
    differences: tuple[Difference, ...] = ()
    """The first few of each endpoint."""
    differing_count: int = 0
    """Requests whose answers differ."""
    refusals: tuple[Refusal, ...] = ()
    masked: dict[str, tuple[str, ...]] = {}
    """By endpoint, what was let differ because the base itself varies there."""
    uncompared: dict[str, str] = {}
    """Endpoints that nothing can be said of, and why."""


class TableDifference(Noun):
    """One table after the same requests. None: the table is not there on that side."""

    table: str
    base_rows: int | None
    change_rows: int | None
    columns: tuple[str, ...] = ()
    """Whose values differ; empty where only their combination in rows does."""


class EffectsVerdict(Noun):
    """Whether the same requests left the same data behind on both sides."""

    kind: Literal["effects"] = "effects"
    outcome: Outcome
    engine: str
    tables_count: int
    writes_count: int
    """Requests that were sent with a method that may write."""
    masked: dict[str, tuple[str, ...]] = {}
    """By table, the columns in which two runs of the base differ; `*` for the number of rows."""
    written_by_reads: tuple[str, ...] = ()
    """Tables that the change writes when it is only read, and the base does not."""
    differences: tuple[TableDifference, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    uncompared: dict[str, str] = {}


class Freshening(Noun):
    """One endpoint asked again after the data under it were changed."""

    endpoint: str
    request: str
    written: str
    """What was changed: `books.title`, or the endpoint that wrote."""
    fresh: bool
    stale_ms: float
    """From the write to the change's first new answer; to the last look where none came."""
    told_unchanged: bool = False
    """Who kept the old answer was told by a 304 that it still holds, though the new one differs."""


class FreshnessVerdict(Noun):
    """Whether the change shows new data when the base does, or within its declared time to live."""

    kind: Literal["freshness"] = "freshness"
    outcome: Outcome
    declared_s: float
    checked: tuple[Freshening, ...] = ()
    unproven: dict[str, str] = {}
    """Endpoints of which nothing could be said, and why."""
    refusals: tuple[Refusal, ...] = ()


class Footprint(Noun):
    """What the target's tree of processes holds at one moment."""

    processes_count: int
    unreaped_count: int
    """Children that ended and that nobody waited for."""
    threads_count: int
    files_count: int
    sockets_count: int
    listening_ports: tuple[int, ...]
    """Without the port that it was told to listen on."""
    rss_bytes: int


class FootprintVerdict(Noun):
    """What is left after requests, on both sides: before, after some, and after as many again."""

    kind: Literal["footprint"] = "footprint"
    outcome: Outcome
    requests_count: int
    """In each of the two rounds."""
    base: tuple[Footprint, ...]
    """Empty where nothing could be asked."""
    change: tuple[Footprint, ...]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    """What else was seen, or why nothing was measured."""
