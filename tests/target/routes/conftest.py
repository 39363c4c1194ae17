"""Projects of the small applications that routes and requests are tested on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.project import Project

APPS = Path(__file__).parents[1] / "requests" / "apps"


@pytest.fixture
def project() -> Any:
    """Makes a project of the small applications."""

    def make(framework: str, app: str | None = None, **more: Any) -> Project:
        root = more.pop("root", APPS)
        values = {"root": root, "name": "x", "python": Path(sys.executable), "workdir": root, "start": ("x",), **more}
        return Project(framework=framework, app=app, **values)

    return make
