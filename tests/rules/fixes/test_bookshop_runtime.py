"""The bookshop's planted faults of runtime and HTTP: each has a change, and with all together its suite passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfcrew.core.findings import Finding
from perfcrew.core.patches import Declined, Fix
from perfcrew.core.prose import Prose
from perfcrew.core.web import Place
from perfcrew.rules.fixes import propose

from .cases import application

SHOP = Path(__file__).parents[3] / "examples/bookshop"
SUBJECTS = {"RT304": "bookshop.services.searching._searches", "RT305": "bookshop.services.customs"}
VARIANTS = {
    "RT301": {"asyncio.to_thread"},
    "RT302": {"gather", "TaskGroup"},
    "RT303": {"lru_cache"},
    "RT304": {"OrderedDict"},
    "RT305": {"cached function", "lazy import"},
    "HT401": {"bounded gather"},
    "HT402": {"ThreadPoolExecutor"},
    "HT403": {"GZipMiddleware"},
}


@cache
def planted() -> dict[str, dict[str, Any]]:
    """The faults by rule."""
    faults = yaml.safe_load((SHOP / "planted.yaml").read_text())["faults"]
    return {fault["rule"]: fault for fault in faults}


def at(root: Path, said: dict[str, Any]) -> Place:
    lines = (root / said["file"]).read_text().splitlines()
    return Place(
        file=said["file"], function=said["function"], line=[t.strip() for t in lines].index(said["needle"]) + 1
    )


def found(rule: str) -> Finding:
    """The finding of the untouched shop, whose lines an edited copy may have moved."""
    fault = planted()[rule]
    return Finding(
        rule=rule,
        title=fault["what"],
        level="high",
        endpoint=fault["endpoint"],
        place=at(SHOP, fault),
        trigger=at(SHOP, fault["trigger"]) if "trigger" in fault else None,
        prose=Prose(text="planted"),
        evidence=(),
        confidence=0.9,
        subject=SUBJECTS.get(rule, ""),
    )


def answers(root: Path, rule: str) -> list[Fix | Declined]:
    return propose(root, found(rule), application(SHOP, app="bookshop.main:app"))


def fixes(root: Path, rule: str) -> list[Fix]:
    return [a for a in answers(root, rule) if isinstance(a, Fix)]


def apply(root: Path, fix: Fix) -> None:
    for name, text in fix.files.items():
        assert text is not None
        (root / name).write_text(text)


def copy(root: Path) -> Path:
    shutil.copytree(SHOP, root, ignore=shutil.ignore_patterns(".perfcrew", "node_modules", "__pycache__", "*.sqlite3"))
    return root


@pytest.mark.parametrize("rule", VARIANTS)
def test_every_fault_has_a_change(rule: str) -> None:
    assert {fix.variant for fix in fixes(SHOP, rule)} == VARIANTS[rule]
    assert all(len(a.reason) > 20 for a in answers(SHOP, rule) if isinstance(a, Declined))


def suite(root: Path) -> subprocess.CompletedProcess[str]:
    """The project's own tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.target
def test_the_suite_passes_with_all_together(tmp_path: Path) -> None:
    """One after another, each written into what the ones before have left."""
    root = copy(tmp_path / "all")
    for rule in VARIANTS:
        first = fixes(root, rule)[0]
        assert first.variant == fixes(SHOP, rule)[0].variant
        apply(root, first)
    done = suite(root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
