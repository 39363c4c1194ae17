"""DB112 has no change by rule: each refusal says what stands in the way."""

from pathlib import Path

import pytest

from .cases import At, proposed, reasons

SOURCE = "def page(session, number):\n    return session.scalars(books.offset(number * 20)).all()"
REASONS = {
    "by number": ("SELECT id FROM book ORDER BY id LIMIT ? OFFSET ?", "hand back the last key"),
    "no order": ("SELECT id FROM book LIMIT ? OFFSET ?", "has no ORDER BY"),
    "an expression": ("SELECT id FROM book ORDER BY lower(title) LIMIT ? OFFSET ?", "by an expression"),
    "up and down": ("SELECT id FROM book ORDER BY a DESC, id LIMIT ? OFFSET ?", "up and down"),
    "no SQL": ("a text that nobody reads", "hand back the last key"),
}


@pytest.mark.parametrize(("statement", "reason"), REASONS.values(), ids=REASONS)
def test_refused(tmp_path: Path, statement: str, reason: str) -> None:
    answers = proposed(tmp_path, "DB112", SOURCE, At("offset", "page"), subject=statement)
    assert reason in reasons(answers)
