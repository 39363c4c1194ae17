"""Runs a script or a module as `python` does, and writes down how each test of `unittest` ended, Django's too.

Runs in the target's interpreter: standard library only, Python 3.8 and later. `perfcrew_unittest.py manage.py test …`,
`perfcrew_unittest.py -m unittest …`; the file as in `perfcrew_pytest`.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import unittest
from typing import Any

_OUT = os.environ.get("PERFCREW_SUITE_OUT", "")
_ENDS = {
    "addSuccess": "passed",
    "addFailure": "failed",
    "addError": "error",
    "addSkip": "skipped",
    "addExpectedFailure": "expected",
    "addUnexpectedSuccess": "failed",
}


def _write(test: Any, how: str) -> None:
    with open(_OUT, "a", encoding="utf-8", errors="backslashreplace") as out:
        out.write(json.dumps([test.id(), how]) + "\n")


def _heard(name: str, how: str) -> None:
    before = getattr(unittest.TestResult, name)

    def method(self: Any, test: Any, *given: Any) -> Any:
        _write(test, how)
        return before(self, test, *given)

    setattr(unittest.TestResult, name, method)


def _hear_subtests() -> None:
    before = unittest.TestResult.addSubTest

    def method(self: Any, test: Any, subtest: Any, error: Any) -> Any:
        if error is not None:
            _write(test, "failed")
        return before(self, test, subtest, error)

    setattr(unittest.TestResult, "addSubTest", method)  # noqa: B010 - typed as a method, which ours is not


def _main() -> None:
    if _OUT:
        for name, how in _ENDS.items():
            _heard(name, how)
        _hear_subtests()
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "-m":
        module = sys.argv[1]
        sys.argv = sys.argv[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _main()
