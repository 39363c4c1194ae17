from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from probe_harness import Probe

from perfcrew.probe import inject


@pytest.fixture(scope="session")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inject.dependencies(tmp_path_factory.mktemp("deps"))


@pytest.fixture(scope="session")
def new_probe(deps: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Probe]:
    return lambda **options: Probe(deps, tmp_path_factory.mktemp("probe"), **options)


@pytest.fixture(scope="module", params=["otel", "stdlib"])
def mode(request: pytest.FixtureRequest) -> Any:
    return request.param
