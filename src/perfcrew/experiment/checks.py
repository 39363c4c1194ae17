"""The type check and the lint that the project has set up, by its own programs: only problems that are new count."""

from __future__ import annotations

import json
import re
import secrets
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.errors import TargetFailed
from perfcrew.core.project import Project
from perfcrew.target import spawn
from perfcrew.target.environment import environment_of
from perfcrew.target.leftovers import Registry


@dataclass(frozen=True, order=True)
class Problem:
    """One complaint. Its line is shown, and not part of what it is: a change above moves it."""

    tool: str
    file: str
    code: str
    text: str
    line: int = 0

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """The complaint wherever it stands in its file; numbers in its text are often lines too."""
        return self.tool, self.file, self.code, re.sub(r"\bline \d+", "line", self.text)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text} [{self.code}]"


@dataclass(frozen=True)
class Check:
    """What one program said. `said`: why it is no result, where it could not run; empty else."""

    tool: str
    problems: tuple[Problem, ...] = ()
    said: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True)
class _Tool:
    """A program, where its configuration is, how it is asked about files, and the exits with which it did its work."""

    name: str
    files: tuple[str, ...]
    sections: tuple[str, ...]
    command: Callable[[Path, Sequence[str]], list[str]]
    read: Callable[[str, Path], list[Problem]]
    exits: tuple[int, ...] = (0, 1)


def configured(project: Project) -> tuple[str, ...]:
    """Names of the checks that the project has set up, whether or not their programs are installed."""
    return tuple(tool.name for tool in _TOOLS if _is_set_up(tool, project))


async def check(
    project: Project, files: Iterable[str], *, workspace: Path, registry: Registry, timeout_s: float = 120.0
) -> tuple[Check, ...]:
    """Run them on Python files (relative to the project's folder; those that are not there are left out)."""
    there = [name for name in files if name.endswith(".py") and (project.root / name).is_file()]
    tools = [tool for tool in _TOOLS if _is_set_up(tool, project)] if there else []
    return tuple([await _run(tool, project, there, workspace, registry, timeout_s) for tool in tools])


def new_problems(before: Sequence[Check], after: Sequence[Check]) -> tuple[Problem, ...]:
    """Problems of programs that ran on both sides, as many as there are more of them after the change."""
    ran = {c.tool for c in before if not c.said} & {c.tool for c in after if not c.said}
    known = Counter(p.identity for c in before if c.tool in ran for p in c.problems)
    new = []
    for problem in sorted(p for c in after if c.tool in ran for p in c.problems):
        if known[problem.identity] > 0:
            known[problem.identity] -= 1
        else:
            new.append(problem)
    return tuple(new)


def broken(before: Sequence[Check], after: Sequence[Check]) -> tuple[str, ...]:
    """Programs that ran before the change and give no result after it, each with what it said."""
    ran = {c.tool for c in before if not c.said}
    return tuple(f"{c.tool}: {c.said}" for c in after if c.said and c.tool in ran)


@dataclass(frozen=True)
class Checked:
    """Whether a change holds before the project's checks; `passed` is None where none could say, which is said."""

    passed: bool | None
    said: str


def judged(before: Sequence[Check], after: Sequence[Check]) -> Checked:
    """What the checks of both sides come to."""
    worse = [*broken(before, after), *map(str, new_problems(before, after))]
    if worse:
        more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
        return Checked(False, "; ".join(worse[:3]) + more)
    missing = [f"{c.tool}: {c.said}" for c in after if c.said]
    ran = [c.tool for c in after if not c.said]
    if not ran:
        return Checked(None, "; ".join(missing) or "the project has no type check or lint set up")
    return Checked(True, "; ".join([f"{' and '.join(ran)}: nothing new", *missing]))


def _is_set_up(tool: _Tool, project: Project) -> bool:
    return any(_configures(folder, tool) for folder in dict.fromkeys((project.workdir, project.root)))


def _configures(folder: Path, tool: _Tool) -> bool:
    if any((folder / name).is_file() for name in tool.files):
        return True
    if tool.name in _pyproject(folder):
        return True
    ini = "".join(p.read_text(errors="replace") for n in ("setup.cfg", "tox.ini") if (p := folder / n).is_file())
    return any(re.search(rf"^\[{re.escape(section)}\]", ini, re.MULTILINE) for section in tool.sections)


def _pyproject(folder: Path) -> dict[str, object]:
    try:
        table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
    except (FileNotFoundError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}
    return table if isinstance(table, dict) else {}


async def _run(
    tool: _Tool, project: Project, files: Sequence[str], workspace: Path, registry: Registry, timeout_s: float
) -> Check:
    program = project.python.parent / tool.name
    if not program.is_file():
        return Check(tool.name, said=f"{tool.name} is not installed in the project's environment")
    place = workspace / f"check-{secrets.token_hex(3)}"
    place.mkdir(parents=True)
    try:
        ran = await spawn.ran(
            [str(program), *tool.command(place, files)],
            cwd=project.root,
            environment=environment_of(project, None, {"NO_COLOR": "1", "COLUMNS": "400"}),
            log=place / "out.log",
            registry=registry,
            what=tool.name,
            timeout_s=timeout_s,
        )
    except TargetFailed as error:
        return Check(tool.name, said=error.what)
    return _result(tool, ran, place / "out.log", project.root)


def _result(tool: _Tool, ran: spawn.Ran, log: Path, root: Path) -> Check:
    last = ran.tail.strip().splitlines()[-1:] or [""]
    if ran.exit is None:
        return Check(tool.name, said=f"it did not end within {ran.duration_s:g} s", duration_s=ran.duration_s)
    if ran.exit not in tool.exits:
        return Check(tool.name, said=f"exit {ran.exit}: {last[0][:300]}", duration_s=ran.duration_s)
    try:
        problems = tool.read(log.read_text(encoding="utf-8", errors="replace"), root)
    except (ValueError, KeyError) as error:
        return Check(tool.name, said=f"its output can't be read: {error}", duration_s=ran.duration_s)
    if ran.exit and not problems:
        return Check(tool.name, said=f"exit {ran.exit}: {last[0][:300]}", duration_s=ran.duration_s)
    return Check(tool.name, tuple(problems), duration_s=ran.duration_s)


_MYPY = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d+)(:\d+)?: error: (?P<text>.*?)(  \[(?P<code>[\w-]+)\])?$", re.MULTILINE
)
_FLAKE8 = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+):\d+: (?P<code>[A-Z]+\d+) (?P<text>.*)$", re.MULTILINE)


def _mypy(output: str, root: Path) -> list[Problem]:
    return [_problem("mypy", m) for m in _MYPY.finditer(output)]


def _flake8(output: str, root: Path) -> list[Problem]:
    return [_problem("flake8", m) for m in _FLAKE8.finditer(output)]


def _problem(tool: str, match: re.Match[str]) -> Problem:
    return Problem(
        tool, match["file"].removeprefix("./"), match["code"] or "error", match["text"].strip(), int(match["line"])
    )


def _ruff(output: str, root: Path) -> list[Problem]:
    listed = json.loads(output[output.index("[") :])
    return [
        Problem("ruff", _inside(p["filename"], root), p["code"] or "syntax", p["message"], p["location"]["row"])
        for p in listed
    ]


def _pyright(output: str, root: Path) -> list[Problem]:
    listed = json.loads(output[output.index("{") :])["generalDiagnostics"]
    return [
        Problem(
            "pyright", _inside(p["file"], root), p.get("rule", "error"), p["message"], p["range"]["start"]["line"] + 1
        )
        for p in listed
        if p["severity"] == "error"
    ]


def _inside(name: str, root: Path) -> str:
    path = Path(name)
    return str(path.relative_to(root)) if path.is_relative_to(root) else name


_TOOLS = (
    _Tool(
        "mypy",
        ("mypy.ini", ".mypy.ini"),
        ("mypy",),
        lambda place, files: [
            *("--no-error-summary", "--hide-error-context", "--no-color-output", "--no-pretty", "--show-error-codes"),
            *(f"--cache-dir={place / 'cache'}", "--follow-imports=silent", "--", *files),
        ],
        _mypy,
    ),
    _Tool("pyright", ("pyrightconfig.json",), (), lambda place, files: ["--outputjson", *files], _pyright),
    _Tool(
        "ruff",
        ("ruff.toml", ".ruff.toml"),
        (),
        lambda place, files: ["check", "--output-format=json", "--no-cache", "--no-fix", "--force-exclude", *files],
        _ruff,
    ),
    _Tool("flake8", (".flake8",), ("flake8",), lambda place, files: ["--format=default", *files], _flake8),
)
