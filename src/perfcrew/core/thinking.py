"""What a model looked up, what was asked of it and what came of that, what it wrote: all of it evidence of the run.

None of it is a measurement: no number of a claim resolves to a lookup, so that nobody can select himself a figure.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from perfcrew.core.base import Noun
from perfcrew.core.spending import Spent, Tokens


class Lookup(Noun):
    """One call of a tool by a model: what it asked, and what it was given, as text."""

    kind: Literal["lookup"] = "lookup"
    tool: str
    asked: dict[str, JsonValue]
    said: str
    refused: bool = False


class Exchange(Noun):
    """What was asked of a model on behalf of somebody. Every message that left is in the blob `sent`."""

    kind: Literal["exchange"] = "exchange"
    who: str
    """A specialist, the reviewer, the narrator, or `patches DB101-1a2b3c4d`."""
    reasoner: str
    """The model's name, `provider:model`."""
    answered: bool
    """Whether what it said was taken; if not, the rule book concluded."""
    why: str = ""
    """Why it was not."""
    limit: str = ""
    """The limit that ended it, if one did: calls, tokens, money, seconds; `why` says by how much."""
    sent_back: tuple[str, ...] = ()
    """The faults with which its first answer went back."""
    calls_count: int = 0
    requests_count: int = 0
    """Sent over the wire; more than calls where something was tried again."""
    input_tokens_count: int = 0
    output_tokens_count: int = 0
    cached_tokens_count: int = 0
    estimated: bool = False
    """Whether a server counted no tokens, so that they are about so many."""
    scrubbed_count: int = 0
    """Secrets that were blanked before anything left."""
    lookups_count: int = 0
    cost_usd: float | None = None
    """None where the price of an answer is not known."""
    duration_s: float = 0.0

    @property
    def spent(self) -> Spent:
        """The same as it was counted."""
        tokens = Tokens(
            input=self.input_tokens_count,
            output=self.output_tokens_count,
            cached=self.cached_tokens_count,
            estimated=self.estimated,
        )
        return Spent(
            who=self.who,
            calls=self.calls_count,
            requests=self.requests_count,
            tokens=tokens,
            seconds=self.duration_s,
            money_usd=self.cost_usd or 0.0,
            unpriced=self.calls_count if self.cost_usd is None else 0,
            models=(self.reasoner,),
        )


class Paragraph(Noun):
    """A text of the narrator's. Its numbers are references such as `{{ E-1a2b3c4d5e6f . statistics.p95.value }}`."""

    about: str
    """`summary`, or the id of a finding."""
    text: str
    evidence: tuple[str, ...]
    """What its plain numerals are looked for in."""


class Narrative(Noun):
    """What the narrator wrote, before its references are filled in."""

    kind: Literal["narrative"] = "narrative"
    reasoner: str
    paragraphs: tuple[Paragraph, ...]


class Edit(Noun):
    """Lines of a file that stand there once, and what stands there instead. An empty `old` makes a new file."""

    file: str
    old: str
    new: str


class WrittenPatch(Noun):
    """A change that a model wrote for one hypothesis: edits by anchor, which a diff is turned into too."""

    hypothesis: str
    title: str
    edits: tuple[Edit, ...]
    metrics: tuple[str, ...]
    ttl_s: float = 0.0
    trade_offs: tuple[str, ...] = ()


class WrittenPatches(Noun):
    """The changes that a model wrote for one finding, the best first, and why others of its were refused."""

    kind: Literal["written patches"] = "written patches"
    finding: str
    reasoner: str
    patches: tuple[WrittenPatch, ...]
    refused: tuple[str, ...] = ()
