"""`perfcrew gate`: the checks again, on a report as it stands in a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from perfcrew import gate, settings
from perfcrew.core.errors import UsageError
from perfcrew.core.report import GateResult, Report
from perfcrew.ledger import Ledger
from perfcrew.report.json import parse


def command(options: argparse.Namespace) -> int:
    """Read the report, read its ledger again, and say what each check decided."""
    path = Path(options.report).resolve()
    report = read(path)
    root = Path(options.path).resolve() if options.path else _root(path)
    with Ledger.existing(root) as ledger:
        result = gate.check(report, ledger, settings.load(root).gate)
    show(result)
    return 0 if result.passed else 1


def read(path: Path) -> Report:
    """The report in a file. UsageError where it is none."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the report can't be read: {error}", where=str(path), do="name a report.json") from None


def show(result: GateResult) -> None:
    """Each check in a line, with its reasons."""
    for check in result.checks:
        print(f"{'passed' if check.passed else 'FAILED'}  {check.name}{f'  ({check.note})' if check.note else ''}")
        for reason in check.reasons:
            print(f"        {reason}")
    print("gate: passed" if result.passed else "gate: FAILED")


def _root(path: Path) -> Path:
    for folder in path.parents:
        if folder.name == ".perfcrew":
            return folder.parent
        if (folder / ".perfcrew" / "ledger.sqlite3").is_file():
            return folder
    raise UsageError("no ledger above this report", where=str(path), do="name the project's folder after the report")
