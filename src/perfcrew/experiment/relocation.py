"""The project as it is in a worktree: its paths moved there, and its code found there before any other copy of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfcrew.core.errors import ToolFailed, Unmeasurable
from perfcrew.core.project import Project
from perfcrew.experiment.repository import repository
from perfcrew.target.environment import environment_of

_TIMEOUT_S = 60.0
_SEEN = """
import json, sys
mapping = {}
for finder in sys.meta_path:
    module = sys.modules.get(getattr(finder, "__module__", None) or "")
    found = getattr(module, "MAPPING", None)
    if isinstance(found, dict):
        mapping.update({str(k): str(v) for k, v in found.items()})
print(json.dumps({"path": sys.path, "mapping": mapping, "stdlib": sorted(getattr(sys, "stdlib_module_names", ()))}))
"""
_FOUND = """
import importlib.util, json, sys
where = {}
for name in sys.argv[1:]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        continue
    if spec is not None:
        where[name] = spec.origin or next(iter(spec.submodule_search_locations or ()), "")
print(json.dumps(where))
"""


@dataclass(frozen=True)
class _Seen:
    """What the interpreter searches: folders, packages that an editable installation maps, and its own modules."""

    path: tuple[Path, ...]
    mapping: Mapping[str, Path]
    stdlib: frozenset[str]


@dataclass(frozen=True)
class _Move:
    """From the user's repository to the worktree, but for the environment and the data, which all sides share."""

    top: Path
    to: Path
    kept: tuple[Path, ...]

    def path(self, path: Path) -> Path:
        if not path.is_relative_to(self.top) or any(path.is_relative_to(k) for k in self.kept):
            return path
        return self.to / path.relative_to(self.top)

    def text(self, text: str) -> str:
        """Every path of the user's in a word: `--chdir=/…`, `a:b`. What is in a URL is data, and stays."""
        found = re.compile(rf"(?<![\w./-]){re.escape(str(self.top))}(?=/|$|[:;,=\s\"'])[^:;,=\s\"']*")
        return found.sub(lambda match: str(self.path(Path(match[0]))), text)

    def words(self, words: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.text(word) for word in words)


def relocate(project: Project, root: Path, to: Path) -> Project:
    """The project in a worktree whose folder `to` is what `root` is in the user's repository.

    Interpreter and database files stay where they are. The worktree's code comes first on the module search path, so
    that an editable installation of the user's tree is not what runs; Unmeasurable where it would run all the same.
    """
    move = _move(project, root, to)
    moved = _moved(project, move)
    paths = import_roots(project, move)
    environment = dict(moved.environment)
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
    moved = moved.model_copy(update={"environment": environment})
    if stray := strays(moved, move.top, paths):
        raise Unmeasurable(
            f"the worktree's code would not be what runs: {', '.join(stray[:5])}",
            where=str(project.python),
            do="install the project so that PYTHONPATH wins over it: `pip install .`, or an editable install by path",
        )
    return moved


def _move(project: Project, root: Path, to: Path) -> _Move:
    inner = to.resolve().relative_to(repository(to).resolve())
    top, tree = root, to
    for _ in inner.parts:
        top, tree = top.parent, tree.parent
    kept = [project.python.parent.parent, *project.database_files]
    return _Move(top, tree, tuple(k for k in kept if k != top and not top.is_relative_to(k)))


def _moved(project: Project, move: _Move) -> Project:
    data = project.data.model_copy(update={"seed": move.words(project.data.seed)})
    auth, other = (
        user.model_copy(update={"script": move.words(user.script)}) if user else None
        for user in (project.auth, project.other_user)
    )
    databases = {project.database_variable, "DATABASE_URL"}
    given = {k: v if k in databases else move.text(v) for k, v in project.environment.items() if k != "PYTHONPATH"}
    return project.model_copy(
        update={
            "root": move.path(project.root),
            "workdir": move.path(project.workdir),
            "manage_py": move.path(project.manage_py) if project.manage_py else None,
            "frontend": move.path(project.frontend) if project.frontend else None,
            "start": move.words(project.start),
            "prepare": tuple(move.words(command) for command in project.prepare),
            "migrate": move.words(project.migrate),
            "tests": move.words(project.tests),
            "data": data,
            "auth": auth,
            "other_user": other,
            "environment": given,
        }
    )


def import_roots(project: Project, move: _Move) -> list[Path]:
    """Folders of the worktree from which modules are imported: as set, as installed editably, `src`, and its own."""
    seen = _seen(project)
    given = [project.workdir / p for p in project.environment.get("PYTHONPATH", "").split(os.pathsep) if p]
    found = [*given, *seen.path, *(_above(name, place) for name, place in seen.mapping.items())]
    inside = [moved for path in found if (moved := move.path(path)) != path]
    workdir, root = move.path(project.workdir), move.path(project.root)
    own = [folder / "src" for folder in (root, workdir) if (folder / "src").is_dir()]
    own += [] if _shadows(workdir, seen.stdlib) else [workdir]
    return list(dict.fromkeys([*(p for p in inside if p.is_dir()), *own]))


def _above(name: str, place: Path) -> Path:
    """The folder from which `name` is imported, which lies at `place`."""
    for _ in name.split("."):
        place = place.parent
    return place


def _shadows(folder: Path, stdlib: frozenset[str]) -> bool:
    """Whether a module there has a name of the standard library: on the search path it would hide that."""
    return any(entry.stem in stdlib for entry in _modules(folder))


def _modules(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    entries = sorted(folder.iterdir())
    return [e for e in entries if e.suffix == ".py" or (e.is_dir() and (e / "__init__.py").is_file())]


def _seen(project: Project) -> _Seen:
    found = _asked(project, _SEEN)
    path = tuple(Path(p) for p in found["path"] if p and os.path.isabs(p))
    mapping = {name: Path(place) for name, place in found["mapping"].items()}
    return _Seen(path, mapping, frozenset(found["stdlib"]))


def strays(project: Project, top: Path, paths: Sequence[Path]) -> list[str]:
    """Modules of the project that its interpreter would still import from the user's tree: `name from place`."""
    names = list(dict.fromkeys(m.stem for path in paths for m in _modules(path) if m.stem.isidentifier()))[:300]
    where = _asked(project, _FOUND, *names) if names else {}
    environment = project.python.parent.parent
    own = [Path(p) for p in paths]
    return [
        f"{name} from {place}"
        for name, place in where.items()
        if (at := Path(place)).is_relative_to(top)
        and not any(at.is_relative_to(p) for p in own)
        and (not at.is_relative_to(environment) or environment == top)
    ]


def _asked(project: Project, program: str, *words: str) -> dict[str, Any]:
    """What the target's interpreter says, started as the target is, but away from its folder."""
    command = [str(project.python), "-c", program, *words]
    try:
        done = subprocess.run(
            command,
            cwd=os.path.sep,
            env=environment_of(project, None),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolFailed(f"the target's interpreter gives no answer: {error}", command=command[:2]) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        tail = (done.stderr or done.stdout)[-1500:]
        said = "the target's interpreter gives no answer"
        raise ToolFailed(said, command=command[:2], exit=done.returncode, tail=tail) from None
    return answer
