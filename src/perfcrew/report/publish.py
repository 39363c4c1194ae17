"""Writes a sealed report in every format, each file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from perfcrew.core.report import Report
from perfcrew.ledger import Ledger
from perfcrew.report import FORMATS, render


def publish_files(report: Report, ledger: Ledger, folder: Path) -> None:
    """Render the report into a folder, which is made; beside it the profiles that speedscope opens."""
    folder.mkdir(parents=True, exist_ok=True)
    for form, extension in FORMATS.items():
        _write(folder / f"report.{extension}", render(report, form).encode())
    for flame in report.charts.flames:
        blobs = ledger.get(flame.evidence).blobs
        if "speedscope" in blobs:
            _write(folder / f"{flame.evidence}.speedscope.json", ledger.blob(blobs["speedscope"]))


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)
