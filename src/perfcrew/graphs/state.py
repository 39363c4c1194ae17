"""What travels between the nodes: ids and small values only."""

from __future__ import annotations

from typing import Annotated, TypedDict

SCHEMA_VERSION = 1


def _merged(left: dict[str, str], right: dict[str, str]) -> dict[str, str]:
    return {**left, **right}


class State(TypedDict, total=False):
    """The review's state. Reducers are keyed, so a node that runs again changes nothing."""

    schema_version: int
    run: str
    specialists: Annotated[dict[str, str], _merged]
    """Specialist → evidence id of its findings, or of its failure."""
    rewrites: int
    withheld: list[str]
    """Findings that the gate refused, left out of the next draft."""
    passed: bool


class SpecialistTask(TypedDict):
    """What one branch of the fan-out is given."""

    run: str
    specialist: str
