"""Worktrees hold what they should, and the user's repository is the same before and after, byte by byte."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from perfcrew.core.errors import UsageError
from perfcrew.experiment.worktrees import refuse_unfit, uncommitted, worktree
from perfcrew.target.leftovers import Registry

from .repositories import commit, contents, fingerprint, git, make_dirty, repository, write

Build = Callable[[Path], Path]


def _hooks(folder: Path) -> Path:
    root = repository(folder / "shop")
    for name in ("post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        hook = root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {folder}/hook-ran\nexit 1\n")
        hook.chmod(0o755)
    make_dirty_without_git(root)
    return root


def make_dirty_without_git(root: Path) -> None:
    write(root, api__shop__main_dot_py="ANSWER = 3\n")


def _dirty(folder: Path) -> Path:
    root = repository(folder / "shop")
    make_dirty(root)
    return root


def _detached(folder: Path) -> Path:
    root = repository(folder / "shop")
    git(root, "checkout", "-q", "--detach", "HEAD~1")
    return root


def _shallow(folder: Path) -> Path:
    origin = repository(folder / "origin")
    git(folder, "clone", "-q", "--depth=1", origin.as_uri(), "shop")
    make_dirty(folder / "shop")
    return folder / "shop"


def _odd_path(folder: Path) -> Path:
    root = repository(folder / "Kaffee & Käse 'n «x»")
    make_dirty(root)
    return root


def _packed(folder: Path) -> Path:
    root = repository(folder / "shop")
    git(root, "gc", "-q")
    git(root, "stash", "list")
    make_dirty(root)
    git(root, "update-index", "--split-index")
    return root


def _stashed(folder: Path) -> Path:
    root = repository(folder / "shop")
    write(root, README_dot_md="stashed\n")
    git(root, "stash", "-q")
    return root


def _linked_worktree(folder: Path) -> Path:
    root = repository(folder / "main")
    git(root, "worktree", "add", "-q", "-b", "other", str(folder / "shop"))
    make_dirty(folder / "shop")
    return folder / "shop"


def _filtered(folder: Path) -> Path:
    root = repository(folder / "shop")
    write(root, _dot_gitattributes="*.py filter=mine\n")
    commit(root, "attributes")
    git(root, "config", "filter.mine.clean", f"touch {folder}/filter-ran; cat")
    git(root, "config", "filter.mine.smudge", f"touch {folder}/filter-ran; cat")
    git(root, "config", "filter.mine.required", "true")
    write(root, api__shop__main_dot_py="ANSWER = 3\n")
    return root


def _touched(folder: Path) -> Path:
    root = repository(folder / "shop")
    os.utime(root / "README.md", (1, 1))  # the next `git status` of the user's would write the index
    return root


def _sha256(folder: Path) -> Path:
    root = repository(folder / "shop", format="--object-format=sha256")
    make_dirty(root)
    return root


def _conflict(folder: Path) -> Path:
    root = repository(folder / "shop")
    git(root, "checkout", "-q", "-b", "side", "HEAD~1")
    write(root, api__shop__main_dot_py="ANSWER = 9\n")
    commit(root, "side")
    subprocess.run(["git", "merge", "main"], cwd=root, capture_output=True, check=False, timeout=60)
    return root


REPOSITORIES: dict[str, Build] = {
    "clean": lambda folder: repository(folder / "shop"),
    "changes of every kind": _dirty,
    "hooks that fail": _hooks,
    "no branch": _detached,
    "a shallow clone": _shallow,
    "an odd path": _odd_path,
    "packed, with a split index": _packed,
    "a stash": _stashed,
    "a linked worktree": _linked_worktree,
    "filters": _filtered,
    "an index that is out of date": _touched,
    "SHA-256": _sha256,
    "a merge that is not finished": _conflict,
}


@pytest.fixture(params=REPOSITORIES, ids=lambda name: name)
def user(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return REPOSITORIES[request.param](tmp_path)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "leftovers")


async def test_worktrees_hold_the_commit_or_the_work_and_the_repository_is_the_same(
    user: Path, workspace: Path, registry: Registry, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", str(user), "clean")
    clean, work = contents(tmp_path / "clean"), contents(user)
    before, around = fingerprint(user), sorted(p.name for p in tmp_path.iterdir())
    async with (
        worktree(user, registry, workspace) as tree,
        worktree(user, registry, workspace, carry_uncommitted=True) as carried,
    ):
        assert tree.base_commit == git(user, "rev-parse", "HEAD").strip()
        assert contents(tree.path) == clean
        write(tree.target_root, api__shop__main_dot_py="ANSWER = 42\n", api__more_dot_py="more = 1\n")
        tree.commit("a change")
        tree.reset("HEAD~1")
        assert contents(tree.path) == clean
        assert contents(carried.path) == work
        assert carried.git("status", "--porcelain") == ""
    assert fingerprint(user) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == around, "no hook and no filter ran"


async def test_work_that_was_carried_can_be_a_base_again(tmp_path: Path, workspace: Path, registry: Registry) -> None:
    root = repository(tmp_path / "shop")
    make_dirty(root)
    async with worktree(root, registry, workspace, carry_uncommitted=True) as first:
        pass
    async with worktree(root, registry, workspace, base=first.base_commit, carry_uncommitted=True) as again:
        assert again.base_commit == first.base_commit
        assert contents(again.path) == contents(root)
    with pytest.raises(UsageError, match="belongs to HEAD"):
        async with worktree(root, registry, workspace, base="v1", carry_uncommitted=True):
            pass


async def test_variables_that_point_git_elsewhere_are_not_followed(
    tmp_path: Path, workspace: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = repository(tmp_path / "shop"), repository(tmp_path / "other")
    before = fingerprint(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    async with worktree(root, registry, workspace, carry_uncommitted=True) as tree:
        assert tree.store.top == root
    assert fingerprint(other) == before


async def test_two_at_once_do_not_meet(tmp_path: Path, workspace: Path, registry: Registry) -> None:
    root = repository(tmp_path / "shop")
    async with worktree(root, registry, workspace) as a, worktree(root, registry, workspace, base="v1") as b:
        assert a.path != b.path
        assert (a.path / "api/shop/main.py").read_text() == "ANSWER = 2\n"
        assert (b.path / "api/shop/main.py").read_text() == "ANSWER = 1\n"
        write(a.path, README_dot_md="changed\n")
        assert b.diff() == ""
        assert "README.md" in a.diff()
    assert not a.path.exists()
    assert not b.path.exists()


async def test_the_same_changes_are_the_same_commits(tmp_path: Path, workspace: Path, registry: Registry) -> None:
    root = repository(tmp_path / "shop")
    made = []
    for _ in range(2):
        async with worktree(root, registry, workspace) as tree:
            write(tree.path, README_dot_md="changed\n")
            made.append(tree.commit("a change"))
            assert tree.commit("nothing more") == made[-1]
            assert tree.git("log", "-1", "--format=%an %ae %s").strip() == "perfcrew perfcrew@localhost a change"
    assert made[0] == made[1]


async def test_what_tests_leave_is_not_committed(tmp_path: Path, workspace: Path, registry: Registry) -> None:
    root = repository(tmp_path / "shop")
    async with worktree(root / "api", registry, workspace) as tree:
        write(tree.target_root, shop__main_dot_py="ANSWER = 5\n", shop__new_dot_so="x", _dot_coverage="debris")
        (tree.target_root / "shop/old.py").unlink()
        write(tree.path, README_dot_md="debris")
        tree.diff()
        tree.commit("a change", ["shop/main.py", "shop/new.so", "shop/old.py", "shop/never.py"])
        changed = tree.git("diff", "--name-only", "HEAD~1", "HEAD").split()
        assert changed == ["api/shop/main.py", "api/shop/new.so", "api/shop/old.py"]
        tree.reset()
        assert not (tree.target_root / ".coverage").exists()
        assert (tree.path / "README.md").read_text() == "# shop\n"


async def test_a_project_in_a_folder_of_its_repository(tmp_path: Path, workspace: Path, registry: Registry) -> None:
    root = repository(tmp_path / "shop") / "api"
    async with worktree(root, registry, workspace) as tree:
        assert tree.target_root == tree.path / "api"
        assert (tree.target_root / "shop" / "main.py").is_file()


async def test_what_git_ignores_and_the_application_needs_is_there_and_is_no_link(
    tmp_path: Path, workspace: Path, registry: Registry
) -> None:
    root = repository(tmp_path / "shop")
    write(root, _dot_env="A=1\n", api__fast_dot_so=b"\0", node_modules__x__y_dot_js="x", _dot_venv__pyvenv_dot_cfg="")
    write(root, _dot_venv__x_dot_so=b"\0", api___dot_env_dot_local="new, and not ignored\n")
    with sqlite3.connect(root / "api" / "shop.sqlite3") as db:
        db.execute("CREATE TABLE book (title)")
    db.close()
    (root / "outside.so").symlink_to(tmp_path)
    before = fingerprint(root)
    async with worktree(root, registry, workspace, carry_uncommitted=True) as tree:
        for name in (".env", "api/fast.so", "api/shop.sqlite3", "api/.env.local"):
            assert (tree.path / name).is_file() and not (tree.path / name).is_symlink(), name
        assert not (tree.path / "node_modules").exists()
        assert not (tree.path / ".venv").exists()
        assert tree.base_commit == git(root, "rev-parse", "HEAD").strip(), "settings and data are never committed"
        assert any(note.startswith("outside.so: a link") for note in tree.notes)
        (tree.path / ".env").write_text("A=2\n")
        (tree.path / "debris.so").write_text("x")
        tree.reset()
        assert (tree.path / ".env").read_text() == "A=1\n"
        assert not (tree.path / "debris.so").exists()
    assert fingerprint(root) == before


@pytest.mark.parametrize("carry", [False, True])
async def test_submodules_are_checked_out_and_never_committed(
    tmp_path: Path, workspace: Path, registry: Registry, carry: bool
) -> None:
    library = repository(tmp_path / "library")
    root = repository(tmp_path / "shop")
    git(root, "submodule", "add", "-q", str(library), "vendor/library")
    commit(root, "a submodule")
    write(root, vendor__library__README_dot_md="changed there\n")
    before = fingerprint(root)
    async with worktree(root, registry, workspace, carry_uncommitted=carry) as tree:
        expected = "changed there\n" if carry else "# shop\n"
        assert (tree.path / "vendor/library/README.md").read_text() == expected
        head = tree.git("rev-parse", "HEAD")
        tree.commit("nothing")
        assert tree.git("rev-parse", "HEAD") == head
        tree.reset()
        assert (tree.path / "vendor/library/README.md").read_text() == expected
    assert fingerprint(root) == before


async def test_large_files_come_from_the_users_copies(tmp_path: Path, workspace: Path, registry: Registry) -> None:
    root = repository(tmp_path / "shop")
    content = b"a large file"
    oid = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
    write(root, _dot_gitattributes="*.bin filter=lfs\n", here_dot_bin=pointer)
    write(root, gone_dot_bin=pointer.replace(oid, "0" * 64))
    commit(root, "pointers")
    kept = root / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    async with worktree(root, registry, workspace) as tree:
        assert (tree.path / "here.bin").read_bytes() == content
        assert [note.partition(":")[0] for note in tree.notes] == ["gone.bin"]
        assert tree.commit("nothing") == tree.base_commit
        tree.reset()
        assert (tree.path / "here.bin").read_bytes() == content


async def test_no_repository_is_said_and_a_copy_will_do(tmp_path: Path, workspace: Path, registry: Registry) -> None:
    root = tmp_path / "shop"
    write(root, app_dot_py="x = 1\n", _dot_env="A=1\n", _dot_perfcrew__x_dot_db="")
    before = fingerprint(root)
    with pytest.raises(UsageError, match="no repository") as caught:
        async with worktree(root, registry, workspace):
            pass
    assert "git init" in caught.value.do
    async with worktree(root, registry, workspace, copy_if_no_git=True) as tree:
        assert (tree.target_root / "app.py").read_text() == "x = 1\n"
        assert (tree.target_root / ".env").read_text() == "A=1\n"
        assert tree.git("ls-files").split() == ["app.py"]
    assert fingerprint(root) == before


async def test_an_unknown_revision_is_said(tmp_path: Path, workspace: Path, registry: Registry) -> None:
    root = repository(tmp_path / "shop")
    with pytest.raises(UsageError, match="no commit 'nowhere'"):
        async with worktree(root, registry, workspace, base="nowhere"):
            pass
    with pytest.raises(UsageError, match="no commit '--all'"):
        async with worktree(root, registry, workspace, base="--all"):
            pass
    git(tmp_path, "init", "-q", "empty")
    with pytest.raises(UsageError, match="no commit 'HEAD'"):
        refuse_unfit(tmp_path / "empty", False)


async def test_a_folder_that_the_commit_does_not_have_is_said(
    tmp_path: Path, workspace: Path, registry: Registry
) -> None:
    root = repository(tmp_path / "shop")
    write(root, later__app_dot_py="")
    with pytest.raises(UsageError, match="is not in the commit"):
        async with worktree(root / "later", registry, workspace):
            pass
    assert not list(workspace.glob("tree-*"))


def test_open_work_is_named_and_carried_only_when_asked(tmp_path: Path) -> None:
    root = repository(tmp_path / "shop")
    write(root, _dot_perfcrew__x="")
    refuse_unfit(root, False)
    make_dirty(root)
    before = fingerprint(root)
    assert {"api/shop/main.py", "api/shop/old.py", "api/shop/renamed.py", "README.md"} <= set(uncommitted(root))
    assert "api/ü n.txt" in uncommitted(root / "api")
    with pytest.raises(UsageError, match="uncommitted work"):
        refuse_unfit(root, False)
    refuse_unfit(root, True)
    assert fingerprint(root) == before


async def test_a_worktree_whose_application_locked_its_folder_is_removed(
    tmp_path: Path, workspace: Path, registry: Registry
) -> None:
    root = repository(tmp_path / "shop")
    async with worktree(root, registry, workspace) as tree:
        (tree.path / "api").chmod(0o500)
    assert not tree.path.exists()


_EXPERIMENT = """
import asyncio, os, sys, tempfile
from pathlib import Path
from perfcrew.experiment.worktrees import publish, worktree
from perfcrew.target.leftovers import Registry
root = Path(sys.argv[1])
registry = Registry(root / ".perfcrew" / "leftovers", "run")
folder = Path(tempfile.gettempdir()) / f"perfcrew-test-{os.getpid()}"
registry.temporary(folder)
folder.mkdir()
print(folder, flush=True)
async def main():
    while True:
        async with worktree(root, registry, folder, carry_uncommitted=True) as tree:
            (tree.path / "README.md").write_text("changed")
            tree.commit("a change")
            tree.reset("HEAD~1")
asyncio.run(main())
"""


def test_after_kill_9_at_any_moment_the_sweep_leaves_nothing_and_the_repository_is_the_same(tmp_path: Path) -> None:
    root = repository(tmp_path / "shop")
    make_dirty(root)
    git(root, "branch", "perfcrew/mine")
    before = fingerprint(root)
    script = tmp_path / "experiment.py"
    script.write_text(_EXPERIMENT)
    chance = random.Random(7)
    for _ in range(5):
        folder = _killed(script, root, chance.uniform(0, 0.6))
        assert fingerprint(root) == before
        ended = Registry(root / ".perfcrew" / "leftovers").sweep()
        assert (folder.exists(), [e.name for e in ended if e.name == str(folder)]) == (False, [str(folder)])
        assert fingerprint(root) == before
    folder = _killed(script, root, 0.2)
    assert f"removed folder {folder}" in _perfcrew("clean", str(root))
    assert not folder.exists()
    assert "nothing was left" in _perfcrew("clean", str(root))
    assert fingerprint(root) == before


def _killed(script: Path, root: Path, after_s: float) -> Path:
    running = subprocess.Popen([sys.executable, str(script), str(root)], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    folder = Path(running.stdout.readline().strip())
    time.sleep(after_s)
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=10)
    running.stdout.close()
    time.sleep(0.3)  # a git that it had started ends by itself
    assert folder.exists()
    return folder


def _perfcrew(*words: str) -> str:
    command = [sys.executable, "-m", "perfcrew", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
