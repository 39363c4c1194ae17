"""Writes a sealed report in every format, each file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from perfcrew.core.report import Report, canonical
from perfcrew.ledger import Ledger
from perfcrew.report import markdown


def publish_files(report: Report, ledger: Ledger, folder: Path) -> None:
    """Render the report into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "report.json", canonical(report))
    _write(folder / "report.md", markdown.render(report))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
