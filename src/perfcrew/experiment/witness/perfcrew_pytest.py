"""A pytest plugin that writes down how each test ended, as it ends. Runs in the target's interpreter.

Standard library and pytest only, Python 3.8 and later. `PERFCREW_SUITE_OUT`: the file, a JSON object a line.
"""

from __future__ import annotations

import json
import os
from typing import Any

_OUT = os.environ.get("PERFCREW_SUITE_OUT", "")
_is_worker = False


def pytest_configure(config: Any) -> None:
    global _is_worker
    _is_worker = hasattr(config, "workerinput")  # pytest-xdist: the controller hears of all tests


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
