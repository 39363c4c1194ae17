"""Worktrees in which changes are tried, while the user's repository stays as it is.

They belong to a bare clone of our own in the run's temporary folder, which borrows the user's objects and writes none:
no branch, no index, no lock and no worktree entry is made in the user's `.git` (docs/adr/0005). What is kept at the end
goes there as one branch, when the run says so.

Refuses: to run hooks or filters of the repository, to fetch, and to touch the user's index or stash.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.errors import ToolFailed, ToolMissing, UsageError
from perfcrew.core.project import Project
from perfcrew.target.leftovers import Registry

_TIMEOUT_S = 300.0
_SAFE = (
    *("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
    *("-c", "core.fsmonitor=false", "-c", "commit.gpgSign=false", "-c", "user.name=perfcrew"),
    *("-c", "user.email=perfcrew@localhost", "-c", "protocol.file.allow=always", "-c", "core.autocrlf=false"),
    *("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false"),
)


@dataclass(frozen=True)
class Worktree:
    """A checkout of its own. `target_root` is in it what the project's folder is in the user's repository."""

    path: Path
    target_root: Path
    branch: str
    base_commit: str

    def git(self, *words: str) -> str:
        """What git prints. ToolFailed with its words where it fails."""
        return git(self.path, *words)

    def commit(self, message: str) -> str:
        """Everything that differs, as one commit of the branch; its id. The same id where nothing differs."""
        self.git("add", "--all")
        if self.git("status", "--porcelain"):
            self.git("commit", "--quiet", "--no-verify", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def diff(self, since: str = "HEAD") -> str:
        """The change of the files since a commit, new ones included."""
        self.git("add", "--all", "--intent-to-add")
        return self.git("diff", "--no-color", "--no-ext-diff", since)

    def reset(self, to: str = "HEAD") -> None:
        """Back to a commit, and without what was added."""
        self.git("reset", "--quiet", "--hard", to)
        self.git("clean", "--quiet", "-d", "--force", "-x")


def git(where: Path, *words: str, environment: Mapping[str, str] | None = None, content: str | None = None) -> str:
    """Run git without hooks, locks that it could do without, and questions. ToolFailed carries what it said."""
    command = ["git", *_SAFE, *words]
    try:
        done = subprocess.run(
            command,
            cwd=where,
            env={**_environment(), **(environment or {})},
            input=content,
            stdin=subprocess.DEVNULL if content is None else None,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise ToolMissing("git is not installed", command=command, do="install git") from None
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"git took longer than {_TIMEOUT_S:g} s", command=command, where=str(where)) from None
    if done.returncode:
        tail = (done.stderr or done.stdout).strip()[-1500:]
        raise ToolFailed("git failed", command=command, exit=done.returncode, tail=tail, where=str(where))
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours without what would point git elsewhere, and with all that makes it leave things alone."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
    }


def repository(root: Path) -> Path:
    """The top of the repository that the folder is in. UsageError where it is in none."""
    try:
        return Path(git(root, "rev-parse", "--show-toplevel").strip())
    except ToolFailed as error:
        raise UsageError(
            "changes are tried in worktrees, and this is no git repository",
            where=str(root),
            do=f"`git init && git add -A && git commit` there first. git said: {error.tail[-200:]}",
        ) from None


def resolved(root: Path, revision: str) -> str:
    """The commit that a revision names. UsageError where there is none."""
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    except ToolFailed:
        raise UsageError(
            f"no revision {revision!r} in the repository", where=str(root), do="see `git log --oneline`"
        ) from None


def uncommitted(root: Path) -> tuple[str, ...]:
    """Paths, relative to the top, that differ from HEAD or are new and not ignored. The index is not refreshed."""
    top = repository(root)
    listed = git(top, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    return tuple(entry[3:] for entry in listed.split("\0") if entry)


@asynccontextmanager
async def worktree(
    root: Path,
    registry: Registry,
    workspace: Path,
    base: str = "HEAD",
    carry_uncommitted: bool = False,
    branch: str | None = None,
) -> AsyncIterator[Worktree]:
    """A checkout of a revision on a branch of its own, gone afterwards. `workspace` is known to the registry already.

    With `carry_uncommitted` the user's changes and new files are its first commit. UsageError where there is no
    repository or no such revision.
    """
    top, commit = repository(root), resolved(root, base)
    number = len(list(workspace.glob("tree-*")))
    path, name = workspace / f"tree-{number}", branch or f"perfcrew/tree-{number}"
    token = registry.temporary(path)
    try:
        made = await asyncio.to_thread(_made, top, root, workspace, path, name, commit)
        if carry_uncommitted:
            await asyncio.to_thread(_carry, top, made)
            made = Worktree(made.path, made.target_root, name, made.commit("uncommitted work of the user"))
        yield made
    finally:
        await asyncio.to_thread(shutil.rmtree, path, True)
        registry.over(token)


def _made(top: Path, root: Path, workspace: Path, path: Path, branch: str, commit: str) -> Worktree:
    store = workspace / "repository.git"
    if not store.exists():
        git(workspace, "clone", "--quiet", "--bare", "--shared", "--no-tags", str(top), str(store))
    git(store, "worktree", "add", "--quiet", "--force", "-B", branch, str(path), commit)
    return Worktree(path, path / root.resolve().relative_to(top.resolve()), branch, commit)


def _carry(top: Path, tree: Worktree) -> None:
    """The user's working files as they are, into the worktree."""
    for name in uncommitted(top):
        source, to = top / name, tree.path / name
        if source.is_symlink() or source.is_file():
            to.parent.mkdir(parents=True, exist_ok=True)
            to.unlink(missing_ok=True)
            shutil.copy2(source, to, follow_symlinks=False)
        elif not source.exists():
            to.unlink(missing_ok=True)


def relocate(project: Project, root: Path, to: Path) -> Project:
    """The project as it is in a worktree: paths below `root` moved to `to`, but for its interpreter and its data.

    Its code comes first on the module search path: an editable installation of the user's tree is not what runs.
    """
    environment = root_paths(project)

    def moved(path: Path) -> Path:
        return to / path.relative_to(root) if path.is_relative_to(root) and not _installed(project, path) else path

    def word(text: str) -> str:
        return str(moved(Path(text))) if text.startswith(f"{root}{os.sep}") or text == str(root) else text

    def words(command: Sequence[str]) -> tuple[str, ...]:
        return tuple(word(w) for w in command)

    paths = [str(moved(Path(p))) for p in environment]
    given = {k: word(v) for k, v in project.environment.items() if k != "PYTHONPATH"}
    return project.model_copy(
        update={
            "root": to,
            "workdir": moved(project.workdir),
            "manage_py": moved(project.manage_py) if project.manage_py else None,
            "frontend": moved(project.frontend) if project.frontend else None,
            "start": words(project.start),
            "prepare": tuple(words(c) for c in project.prepare),
            "migrate": words(project.migrate),
            "tests": words(project.tests),
            "data": project.data.model_copy(update={"seed": words(project.data.seed)}),
            "environment": given | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {}),
        }
    )


def _installed(project: Project, path: Path) -> bool:
    """Whether the path lies in the environment of the interpreter, which all sides share."""
    return path.is_relative_to(project.python.parent.parent)


def root_paths(project: Project) -> list[Path]:
    """Folders below the project from which its modules are imported: as set, as installed editably, and its own."""
    set_ = [Path(p) for p in project.environment.get("PYTHONPATH", "").split(os.pathsep) if p]
    found = [project.workdir / p for p in set_]
    found += [p for p in _editable(project) if p.is_relative_to(project.root)]
    found += [p for p in (project.root / "src", project.workdir / "src") if p.is_dir()]
    return list(dict.fromkeys([*found, project.workdir]))


def _editable(project: Project) -> list[Path]:
    """Folders that `.pth` files of the interpreter's environment put on the module search path."""
    found: list[Path] = []
    for file in project.python.parent.parent.glob("lib/python*/site-packages/*.pth"):
        try:
            lines = file.read_text(errors="replace").splitlines()
        except OSError:
            continue  # not ours to read: then it is not what runs either
        found += [Path(line) for line in lines if line and not line.startswith(("import ", "import\t", "#"))]
        finder = file.with_suffix(".py").with_name(file.stem.removesuffix(".pth") + ".py")
        found += _finder_folders(file.with_name(f"{file.stem}_finder.py")) + _finder_folders(finder)
    return [p for p in found if p.is_absolute()]


def _finder_folders(file: Path) -> list[Path]:
    """The folders above the packages that setuptools' editable finder maps."""
    import re

    try:
        text = file.read_text(errors="replace")
    except OSError:
        return []
    return [Path(p).parent for p in re.findall(r"'[\w.]+': '(/[^']+)'", text)]


def publish(root: Path, tree: Worktree, branch: str) -> None:
    """Put the worktree's branch into the user's repository under a new name: one ref and its objects, nothing else."""
    store = tree.path.parent / "repository.git"
    git(
        root,
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        str(store),
        f"+{tree.branch}:refs/heads/{branch}",
    )


def apply_to_tree(root: Path, patch: str, files: Sequence[str]) -> None:
    """Apply a patch to the user's working files, not to the index. UsageError where one of them has own changes."""
    changed = sorted(set(uncommitted(root)) & set(files))
    if changed:
        raise UsageError(
            f"{', '.join(changed[:5])} changed and is not committed", where=str(root), do="commit or stash it first"
        )
    git(repository(root), "apply", "--whitespace=nowarn", "-", content=patch)
