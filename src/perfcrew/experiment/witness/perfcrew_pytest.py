"""A pytest plugin that writes down how each test ended, as it ends. Runs in the target's interpreter.

Standard library and pytest only, Python 3.8 and later. `PERFCREW_SUITE_OUT`: the file, a JSON object a line;
`PERFCREW_SUITE_ONLY`: a file of ids, one a line, where not all are to run.
"""

from __future__ import annotations

import json
import os
from typing import Any

_OUT = os.environ.get("PERFCREW_SUITE_OUT", "")
_ONLY = os.environ.get("PERFCREW_SUITE_ONLY", "")
_is_worker = False


def pytest_configure(config: Any) -> None:
    global _is_worker
    _is_worker = hasattr(config, "workerinput")  # pytest-xdist: the controller hears of all tests


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    if not _ONLY:
        return
    with open(_ONLY, encoding="utf-8") as file:
        wanted = set(file.read().split("\n"))
    left = [item for item in items if item.nodeid not in wanted]
    items[:] = [item for item in items if item.nodeid in wanted]
    config.hook.pytest_deselected(items=left)


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        _write(report.nodeid or "the collection", "error")


def pytest_runtest_logreport(report: Any) -> None:
    if report.when == "call":
        _write(report.nodeid, "expected" if hasattr(report, "wasxfail") and report.skipped else report.outcome)
    elif report.outcome != "passed":
        _write(report.nodeid, "error" if report.failed else "skipped")


def _write(name: str, how: str) -> None:
    if _OUT and not _is_worker:
        with open(_OUT, "a", encoding="utf-8", errors="backslashreplace") as out:
            out.write(json.dumps([name, how]) + "\n")
