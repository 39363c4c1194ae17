"""What the tests of running a target share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from perfcrew.core.project import Project

APPS = Path(__file__).parent
SERVER = APPS / "server.py"


def project(folder: Path, *start: str, **more: Any) -> Project:
    """A target in `folder`; without a start command the server with the habit `ok`."""
    known = {
        "root": folder,
        "name": "shop",
        "framework": "unknown",
        "python": Path(sys.executable),
        "workdir": folder,
        "start": start or habit("ok"),
        "start_timeout_s": 20.0,
    }
    return Project(**{**known, **more})


def habit(name: str) -> tuple[str, ...]:
    return ("python", str(SERVER), name, "{port}")
