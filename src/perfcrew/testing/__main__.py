"""`python -m perfcrew.testing SCRIPT.yaml [PROVIDER…] [-- COMMAND…]`: serves a script, and says how to be asked.

Without a command it serves until it is interrupted, and prints lines for a shell, `export NAME=VALUE`. With one it runs
that with these variables and ends with it: whatever happens to this process, no server is left. The providers are
those named (default: all). A file with the key `crew` is a scripted crew (`perfcrew.testing.crew`); `--dies-after N`
lets its provider die after so many answers.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from perfcrew.core.errors import PerfcrewError, UsageError
from perfcrew.testing import crew
from perfcrew.testing.asked import Provider
from perfcrew.testing.server import ScriptedModel
from perfcrew.testing.steps import read

_DO = "python -m perfcrew.testing SCRIPT.yaml [anthropic] [openai] … [--dies-after N] [-- COMMAND…]"


def main(words: Sequence[str]) -> int:
    """Serve; returns the exit code, that of the command where there is one."""
    own, command = _split(list(words))
    options = _options(own)
    try:
        providers = _providers(options.providers)
        with _model(options.script, options.dies_after) as model:
            found = model.environment(*providers)
            return _run(command, found, model) if command else _serve(found)
    except PerfcrewError as error:
        print(f"perfcrew.testing: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 0


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m perfcrew.testing", usage=_DO)
    parser.add_argument("script", nargs="?", default="")
    parser.add_argument("providers", nargs="*")
    parser.add_argument("--dies-after", type=int, default=None)
    return parser.parse_args(words)


def _model(name: str, dies_after: int | None) -> ScriptedModel:
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"no script {name!r}", do=_DO)
    found = crew.read(path, dies_after)
    if found is None and dies_after is not None:
        raise UsageError("only a scripted crew dies by --dies-after", where=name, do="write the death as steps")
    return ScriptedModel(found or read(path))


def _serve(found: dict[str, str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job begins with interrupts ignored
        signal.signal(number, signal.default_int_handler)
    for name, value in found.items():
        print(f"export {name}={shlex.quote(value)}", flush=True)
    threading.Event().wait()
    return 0


def _run(command: Sequence[str], found: dict[str, str], model: ScriptedModel) -> int:
    """The command's exit code. It gets the terminal's interrupts itself, and is waited for."""
    with subprocess.Popen(command, env={**os.environ, **found}) as running:
        while True:
            try:
                code = running.wait()
                break
            except KeyboardInterrupt:
                continue
    print(f"the scripted model was asked {len(model.requests)} times; it is ended", file=sys.stderr)
    return code


def _providers(names: Sequence[str]) -> tuple[Provider, ...]:
    known: tuple[Provider, ...] = get_args(Provider)
    wrong = [name for name in names if name not in known]
    if wrong:
        raise UsageError(f"no provider {wrong[0]!r}", do=f"known: {', '.join(known)}")
    return tuple(p for p in known if p in names) if names else known


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
