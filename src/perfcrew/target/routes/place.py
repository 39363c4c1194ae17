"""Where a handler stands, as the report says it."""

from __future__ import annotations

from pathlib import Path

from perfcrew.core.web import Place


def place(handler: Place | None, root: Path) -> Place | None:
    """The same place with its file relative to the target's root, where it lies below it."""
    if handler is None:
        return None
    path = Path(handler.file)
    for base in (root, root.resolve()):
        if path.is_relative_to(base):
            return handler.model_copy(update={"file": str(path.relative_to(base))})
    return handler
