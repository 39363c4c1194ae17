"""A whole review with `--offline`: where its processes connect to, and which names they look up, is written down."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from conftest import Placed

WATCH = """
import json, os, sys
def note(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        where = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        where = (arguments[0],)
    else:
        return
    with open(os.environ["WATCHED"], "a") as file:
        file.write(json.dumps([event, str(where[0]) if isinstance(where, tuple) else "a unix socket"]) + "\\n")
sys.addaudithook(note)
"""
HERE = ("a unix socket", "localhost", "None")


def outside(name: str) -> bool:
    try:
        return name not in HERE and not ipaddress.ip_address(name).is_loopback
    except ValueError:
        return True


@pytest.mark.target
def test_a_review_offline_goes_nowhere_whatever_is_configured(
    placed: Placed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    watched = tmp_path / "watched"
    asks_to_go_out = {
        "PYTHONPATH": str(tmp_path),
        "WATCHED": str(watched),
        "ANTHROPIC_API_KEY": "k",
        "OPENAI_API_KEY": "k",
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_API_KEY": "k",
        "LANGSMITH_ENDPOINT": "http://smith.example",
    }
    for name, value in asks_to_go_out.items():
        monkeypatch.setenv(name, value)
    ended = placed("shop", instruments="baseline").reviewed("--offline")
    assert ended.exit in (0, 1), ended.said
    assert "offline:" not in ended.said
    seen = [tuple(json.loads(line)) for line in watched.read_text().splitlines()]
    assert [one for one in seen if one[0] == "socket.connect"], "the application on loopback was to be seen"
    assert [one for one in seen if outside(one[1])] == []
