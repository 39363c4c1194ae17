"""Found by Python at start-up because the probe's folder stands first on PYTHONPATH.

Starts the probe, then goes on to the `sitecustomize` that this one hid: Debian's, or the target's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

_HERE = os.path.dirname(os.path.abspath(__file__))


def _hidden() -> ModuleSpec | None:
    """The first behind this one: those before it have run, and went on to us."""
    paths = [os.path.abspath(entry or os.curdir) for entry in sys.path]
    behind = sys.path[paths.index(_HERE) + 1 :] if _HERE in paths else sys.path
    return PathFinder.find_spec("sitecustomize", behind)


def _go_on() -> None:
    spec = _hidden()
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    # What it raises is not ours to catch: Python treats it as it would have without the probe.
    spec.loader.exec_module(module)


if os.environ.get("PERFCREW_PROBE_DIR"):
    importlib.import_module("_perfcrew_probe").boot()
_go_on()
