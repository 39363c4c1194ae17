"""`python -m perfcrew.testing SCRIPT.yaml`: serves a script until it is interrupted, and says how to be asked.

The lines that it prints are for a shell: `export NAME=VALUE`, for the providers named after the script (default: all).
"""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from perfcrew.core.errors import PerfcrewError, UsageError
from perfcrew.testing.asked import Provider
from perfcrew.testing.server import ScriptedModel
from perfcrew.testing.steps import read


def main(words: Sequence[str]) -> int:
    """Serve; returns the exit code."""
    try:
        script, *names = words or ("",)
        with ScriptedModel(read(_file(script))) as model:
            for name, value in model.environment(*_providers(names)).items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            threading.Event().wait()
    except PerfcrewError as error:
        print(f"perfcrew.testing: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return 0


def _file(name: str) -> Path:
    if not Path(name).is_file():
        raise UsageError(f"no script {name!r}", do="python -m perfcrew.testing SCRIPT.yaml [anthropic] [openai] …")
    return Path(name)


def _providers(names: Sequence[str]) -> tuple[Provider, ...]:
    known: tuple[Provider, ...] = get_args(Provider)
    wrong = [name for name in names if name not in known]
    if wrong:
        raise UsageError(f"no provider {wrong[0]!r}", do=f"known: {', '.join(known)}")
    return tuple(p for p in known if p in names) if names else known


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
