"""How a model can fail. A caller catches ModelFailed, says what it says, and lets the rule book finish."""

from __future__ import annotations

from perfcrew.core.errors import PerfcrewError


class ModelFailed(PerfcrewError):
    """The models gave no usable answer: the rule book finishes, and the report says why."""


class LimitReached(ModelFailed):
    """A limit of calls, tokens, money or seconds is reached; nothing more is sent. `limit` names it."""

    def __init__(self, limit: str, what: str, *, where: str = "") -> None:
        super().__init__(what, where=where, do="raise it under [models.limits] in perfcrew.toml, or in the card")
        self.limit = limit


class CallFailed(ModelFailed):
    """A provider refused, or did not answer, as often as it was tried. `kind` is that of the last fault."""

    def __init__(self, kind: str, what: str, *, where: str = "", do: str = "", tries: int = 1) -> None:
        super().__init__(what, where=where, do=do)
        self.kind, self.tries = kind, tries


class ProviderDown(CallFailed):
    """Others have just found the provider down, or the key refused: nothing was sent."""


class AnswerUnusable(ModelFailed):
    """The answer came whole and is none: empty, refused, cut at its length, a tool's call that can't be read."""

    def __init__(self, kind: str, what: str, *, where: str = "") -> None:
        super().__init__(what, where=where)
        self.kind = kind


class ModelLoops(ModelFailed):
    """The model asks for the same thing with the same arguments again and again."""


class OfflineRefused(ModelFailed):
    """The run may not go outside, and this would."""
