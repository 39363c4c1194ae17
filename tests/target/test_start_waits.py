"""What of a start was waiting for a core: never more than the start took beyond its work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from perfcrew.target import process, startup


@pytest.mark.parametrize(
    ("name", "told", "waited_ms"),
    [
        ("a quiet machine", (900.0, 20.0), 20.0),
        ("a crowded one", (900.0, 100.0), 100.0),
        ("before its program began", (900.0, 5000.0), 100.0),
        ("work before it began too", (1100.0, 5000.0), 0.0),
        ("the kernel tells nothing", (None, None), None),
    ],
)
def test_a_start_is_no_shorter_than_its_work(
    name: str, told: tuple[float | None, float | None], waited_ms: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "main_thread_ms", lambda pid: told)
    running: Any = SimpleNamespace(pid=1, start_ms=1000.0)
    assert startup._waited_ms(running) == waited_ms
