"""`perfcrew init`: writes down what was detected."""

from __future__ import annotations

import argparse
from pathlib import Path

from perfcrew.target import init
from perfcrew.target.config import load
from perfcrew.target.detect import detect


def command(options: argparse.Namespace) -> int:
    """Write, or print, perfcrew.toml."""
    root = Path(options.path).resolve()
    project = detect(root, app=options.app, python=Path(options.python) if options.python else None, config=load(root))
    if options.print:
        print(init.document(project), end="")
        return 0
    print(
        f"wrote {init.write(root, project, force=options.force)}; read it through, then: perfcrew review {options.path}"
    )
    return 0
