"""The base of every noun: immutable, strict about unknown fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from perfcrew.core.errors import UsageError


class Noun(BaseModel):
    """A frozen model that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


N = TypeVar("N", bound=Noun)


def parsed(model: type[N], content: Mapping[str, Any], where: str) -> N:
    """The content as a noun. UsageError names the first key that is wrong and the file it stands in."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{key}: {first['msg']}", where=where, do="correct the value") from None
