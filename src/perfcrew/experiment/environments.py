"""An environment of its own for a change that alters the dependencies: over the target's packages, what it asks for.

The target's own environment is read and never written. Only virtual environments are cloned: what is installed beside
a system's interpreter can't be told from the system's own.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.project import Project
from perfcrew.experiment.policy import DEPENDENCIES, LOCKED, off_limits
from perfcrew.target.environment import environment_of
from perfcrew.target.leftovers import Registry
from perfcrew.target.spawn import run

_REQUIREMENTS = re.compile(r"(^|/)requirements([^/]*|/[^/]+)\.txt$")
_LIMIT_S = 300.0
_PLACES = "import sysconfig; print(sysconfig.get_path('purelib')); print(sysconfig.get_path('platlib'))"


def asked_for(before: Path, after: Path, files: Iterable[str]) -> list[str]:
    """What these changed files ask for that they did not before, as pip takes it; empty where nothing is new.

    Only that, since whatever else has moved on since the target's environment was made is no part of the change.
    Unmeasurable for dependencies that can't be told so.
    """
    words: list[str] = []
    for name in files:
        if _REQUIREMENTS.search(name):
            words += _new(_lines(before / name), _lines(after / name))
        elif PurePosixPath(name).name == "pyproject.toml":
            words += _new(_of_project(before / name), _of_project(after / name))
        elif off_limits(name) in (DEPENDENCIES, LOCKED):
            raise Unmeasurable(
                f"what {name} asks for can't be installed alone", do="name it in requirements.txt or pyproject.toml"
            )
    if options := [word for word in words if word.startswith("-")]:
        raise Unmeasurable(f"a requirement is an option of pip, which is not tried: {options[0]}")
    return words


def _new(before: list[str], after: list[str]) -> list[str]:
    return [word for word in after if word not in before]


def _lines(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [word for line in lines if (word := re.sub(r"(^|\s)#.*", "", line).strip())]


def _of_project(file: Path) -> list[str]:
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}) if file.is_file() else {}
    return [str(one) for one in project.get("dependencies", [])]


async def clone(project: Project, words: Sequence[str], *, to: Path, workspace: Path, registry: Registry) -> None:
    """Make an environment in the folder `to`: the target's packages, and over them what pip installs for these words.

    Unmeasurable where the target has no virtual environment, TargetFailed where it can't be made or installed into.
    """
    old = project.python.parent.parent
    if not (old / "pyvenv.cfg").is_file():
        raise Unmeasurable(
            "it changes the dependencies, and the target has no virtual environment that could be cloned",
            where=str(project.python),
            do="run the target from a virtual environment",
        )

    own = {k: v for k, v in environment_of(project, None).items() if k != "PYTHONPATH"}

    async def told(*command: str) -> str:
        what, log = "the environment with the changed dependencies", workspace / "environment.log"
        done = await run(
            command, cwd=project.root, environment=own, log=log, registry=registry, what=what, timeout_s=_LIMIT_S
        )
        return done.tail

    await told(str(project.python), "-m", "venv", "--clear", "--without-pip", str(to))
    python = to / "bin" / "python"
    old_places, new_places = [(await told(str(p), "-c", _PLACES)).splitlines()[-2:] for p in (project.python, python)]
    lines = [f"import site; site.addsitedir({place!r})" for place in dict.fromkeys(old_places)]
    (Path(new_places[0]) / "_of_the_target.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _scripts(old / "bin", to / "bin")
    await told(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *words)


def _scripts(old: Path, new: Path) -> None:
    """The console scripts of the old environment, for the new one's interpreter."""
    for script in old.iterdir():
        if not script.is_file() or (new / script.name).exists() or script.stat().st_size > 100_000:
            continue
        head, line, rest = script.read_bytes().partition(b"\n")
        if head.startswith(b"#!" + str(old).encode()):
            (new / script.name).write_bytes(b"#!" + str(new / "python").encode() + line + rest)
            (new / script.name).chmod(0o755)


def within(project: Project, new: Path) -> Project:
    """The project as it runs in that environment."""
    old = project.python.parent.parent

    def words(given: tuple[str, ...]) -> tuple[str, ...]:
        found = re.compile(rf"(?<![\w./-]){re.escape(str(old / 'bin'))}(?=/)")
        return tuple(found.sub(lambda _: str(new / "bin"), word) for word in given)

    return project.model_copy(
        update={
            "python": new / "bin" / "python",
            "start": words(project.start),
            "prepare": tuple(words(command) for command in project.prepare),
            "migrate": words(project.migrate),
            "tests": words(project.tests),
        }
    )
