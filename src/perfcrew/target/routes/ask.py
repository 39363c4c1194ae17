"""Asks the framework inside the target's own interpreter, in a process of its own that is ended whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfcrew.core.base import Noun
from perfcrew.core.project import Project

_LAUNCH = Path(__file__).parent / "inside" / "launch.py"
_TAIL_BYTES = 4096
_PATH_OPTION = re.compile(r"--(?:app-dir|chdir|pythonpath)(?:=(.+))?")
_PASSWORD = re.compile(r"://[^@/\s]*@")
_OURS = ("VIRTUAL_ENV", "PYTHONHOME")


class Inside(Noun):
    """What the framework said: its routes and documents as the script prints them, or why it could not be asked."""

    routes: tuple[dict[str, Any], ...] = ()
    documents: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


async def ask(project: Project, environment: Mapping[str, str], timeout_s: float) -> Inside:
    """Import the application with the target's interpreter, at most for `timeout_s`, and have it list its routes."""
    marker = f"--{secrets.token_hex(16)}--"
    question = json.dumps({**_question(project), "marker": marker})
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        try:
            code = await _run(project, environment, question.encode(), out, log, timeout_s)
        except TimeoutError:
            return Inside(error=f"it took longer than {timeout_s:g} s")
        except OSError as error:
            return Inside(error=f"{project.python} does not run: {error.strerror or error}")
        return _understood(_whole(out), marker) or Inside(error=_failure(code, _tail(log)))


def _question(project: Project) -> dict[str, Any]:
    return {
        "framework": project.framework,
        "app": project.app,
        "factory": project.factory,
        "settings_module": project.settings_module,
        "manage_py": str(project.manage_py) if project.manage_py else None,
        "paths": _import_paths(project),
    }


def _import_paths(project: Project) -> list[str]:
    """Where the start command lets the server import from, then the usual places."""
    told = [str(project.workdir / folder) for folder in _options(project.start)]
    manage = [str(project.manage_py.parent)] if project.manage_py else []
    usual = [str(path) for path in (project.workdir, project.root, project.root / "src") if path.is_dir()]
    return list(dict.fromkeys([*told, *manage, *usual]))


def _options(start: tuple[str, ...]) -> list[str]:
    found = []
    for position, word in enumerate(start):
        option = _PATH_OPTION.fullmatch(word)
        if option:
            found.append(option.group(1) or (start[position + 1] if position + 1 < len(start) else "."))
    return found


async def _run(
    project: Project, environment: Mapping[str, str], question: bytes, out: Any, log: Any, timeout_s: float
) -> int:
    process = await asyncio.create_subprocess_exec(
        str(project.python),
        str(_LAUNCH),
        stdin=asyncio.subprocess.PIPE,
        stdout=out,
        stderr=log,
        cwd=project.workdir,
        env=_environment(project, environment),
        start_new_session=True,
    )
    try:
        await asyncio.wait_for(process.communicate(question), timeout_s)
    finally:
        await _end(process)
    return process.returncode if process.returncode is not None else -1


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the whole process group: what the import started must not outlive the question."""
    with contextlib.suppress(ProcessLookupError):  # it ended by itself, as it should
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _environment(project: Project, environment: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    # no bytecode: nothing is written into the target's tree
    return {**inherited, **project.environment, **environment, "PYTHONDONTWRITEBYTECODE": "1"}


def _whole(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode("utf-8", "replace"))


def _tail(file: Any) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return str(file.read().decode("utf-8", "replace"))


def _understood(text: str, marker: str) -> Inside | None:
    parts = text.split(marker)
    return Inside(**json.loads(parts[1])) if len(parts) == 3 else None


def _failure(code: int, tail: str) -> str:
    last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), "it printed nothing")
    return f"exit {code}: {_PASSWORD.sub('://***@', last[:300])}"
