"""The report as canonical JSON: what the gate reads, and the whole of what is known."""

from __future__ import annotations

from pydantic import ValidationError

from perfcrew.core.errors import UsageError
from perfcrew.core.report import Report, canonical


def render(report: Report) -> str:
    """The same report is the same text, byte for byte."""
    return canonical(report)


def parse(text: str, where: str = "") -> Report:
    """A report from its JSON. UsageError where it is none, or one of another version."""
    try:
        return Report.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"not a report: {key}: {first['msg']}", where=where, do="give the JSON that `perfcrew review` wrote"
        ) from None
