"""The report: composed from the ledger, and rendered as Markdown, JSON, HTML, SARIF or JUnit.

Refuses: a number without evidence behind it, judging its own work, and writing to the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfcrew.core.report import Report

FORMATS = {"markdown": "md", "json": "json", "html": "html", "sarif": "sarif", "junit": "junit.xml"}
"""Format → file extension."""


def render(report: Report, form: str) -> str:
    """The report in one of the `FORMATS`. UsageError names them where it is none of them."""
    from importlib import import_module

    from perfcrew.core.errors import UsageError

    if form not in FORMATS:
        raise UsageError(f"no format {form!r}", do=f"use one of {', '.join(FORMATS)}")
    return str(import_module(f"perfcrew.report.{form}").render(report))
