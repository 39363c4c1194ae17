"""Changes get into worktrees whole or not at all, and out of them as a patch, a branch, or the user's files."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perfcrew.core.errors import UsageError
from perfcrew.core.patches import Fix
from perfcrew.experiment.apply import (
    apply_patch_file,
    apply_to_tree,
    diff,
    message,
    publish,
    save_patch,
    write_files,
    write_fix,
    write_patch,
)
from perfcrew.experiment.worktrees import Worktree, worktree
from perfcrew.target.leftovers import Registry

from .repositories import commit, contents, fingerprint, git, make_dirty, repository, write


@pytest.fixture
def user(tmp_path: Path) -> Path:
    return repository(tmp_path / "a shop")


@pytest.fixture
async def tree(user: Path, tmp_path: Path) -> AsyncIterator[Worktree]:
    (tmp_path / "workspace").mkdir()
    async with worktree(user / "api", Registry(tmp_path / "leftovers"), tmp_path / "workspace") as made:
        yield made


def _fix(**files: str | None) -> Fix:
    named = {name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()}
    return Fix(finding="f", hypothesis="h", variant="v", title="Do it", files=named)


def test_a_fix_is_written_relative_to_the_target(tree: Worktree) -> None:
    applied = write_fix(
        tree, _fix(shop__main_dot_py="ANSWER = 4\n", shop__old_dot_py=None, shop__new__x_dot_py="x = 1\n")
    )
    assert applied.files == ("shop/main.py", "shop/old.py", "shop/new/x.py")
    assert (tree.path / "api/shop/main.py").read_text() == "ANSWER = 4\n"
    assert not (tree.path / "api/shop/old.py").exists()
    assert not list(tree.path.rglob(".*.py.*")), "nothing is left beside"


def test_a_refused_fix_writes_nothing(tree: Worktree) -> None:
    before = contents(tree.path)
    for files in ({"shop/main.py": "x\n", "tests/test_x.py": "x\n"}, {"shop/main.py": "x\n", "link.py": "x\n"}):
        applied = write_files(tree.target_root, files)
        assert applied.refused and not applied.files
    assert contents(tree.path) == before


def test_a_write_that_fails_half_way_is_taken_back(tree: Worktree) -> None:
    before = contents(tree.path)
    with pytest.raises(UnicodeEncodeError):
        write_files(tree.target_root, {"shop/main.py": "ANSWER = 5\n", "shop/old.py": "bad = '\ud800'\n"})
    assert contents(tree.path) == before


def test_mode_encoding_and_line_ends_stay(tree: Worktree) -> None:
    latin = tree.target_root / "latin.py"
    latin.write_bytes("# -*- coding: latin-1 -*-\r\nx = 'ä'\r\n".encode("latin-1"))
    write_files(
        tree.target_root,
        {"latin.py": "# -*- coding: latin-1 -*-\r\nx = 'öä'\r\n", "run.sh": "#!/bin/sh\nexit 0\n"},
    )
    assert latin.read_bytes() == "# -*- coding: latin-1 -*-\r\nx = 'öä'\r\n".encode("latin-1")
    assert (tree.target_root / "run.sh").stat().st_mode & 0o777 == 0o755


_PATCH = """\
--- a/api/shop/main.py
+++ b/api/shop/main.py
@@ -1 +1 @@
-ANSWER = 2
+ANSWER = 7
"""
_BAD_PATCHES = {
    "does not fit": (_PATCH.replace("ANSWER = 2", "ANSWER = 9"), "does not apply"),
    "is no patch": ("hello\n", "does not apply"),
    "edits tests": ("--- /dev/null\n+++ b/tests/test_x.py\n@@ -0,0 +1 @@\n+x = 1\n", "edits tests"),
    "leaves the tree": ("--- /dev/null\n+++ b/../x.py\n@@ -0,0 +1 @@\n+x = 1\n", "does not apply"),
    "goes through a link": (
        "--- a/api/link.py\n+++ b/api/link.py\n@@ -1 +1 @@\n-ANSWER = 2\n+ANSWER = 7\n",
        "",
    ),
    "makes a link": (
        "diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n@@ -0,0 +1 @@\n+/etc\n"
        "\\ No newline at end of file\n",
        "symbolic link",
    ),
    "knows of tests": (_PATCH.replace("+ANSWER = 7", "+ANSWER = 'PYTEST_CURRENT_TEST'"), "it is tested"),
    "renames a test away": (
        "diff --git a/tests/test_a.py b/api/a.py\nsimilarity index 100%\nrename from tests/test_a.py\n"
        "rename to api/a.py\n",
        "",
    ),
}


def test_a_patch_is_applied(tree: Worktree) -> None:
    assert write_patch(tree, _PATCH).files == ("api/shop/main.py",)
    assert (tree.target_root / "shop/main.py").read_text() == "ANSWER = 7\n"


@pytest.mark.parametrize("case", _BAD_PATCHES)
def test_a_patch_that_is_refused_changes_nothing(tree: Worktree, case: str) -> None:
    before = contents(tree.path)
    patch, why = _BAD_PATCHES[case]
    applied = write_patch(tree, patch)
    assert applied.refused and why in applied.refused
    assert contents(tree.path) == before


async def test_a_test_renamed_away_is_named(tmp_path: Path) -> None:
    root = repository(tmp_path / "shop")
    write(root, tests__test_a_dot_py="def test(): pass\n")
    commit(root, "a test")
    (tmp_path / "w").mkdir()
    async with worktree(root, Registry(tmp_path / "left"), tmp_path / "w") as tree:
        assert "edits tests" in write_patch(tree, _BAD_PATCHES["renames a test away"][0]).refused


def test_a_message_says_why_what_and_at_what_price() -> None:
    text = message("Load authors at once", "one statement instead of 20", ["latency −40 %"], ["more memory"], "f1")
    assert text.splitlines()[0] == "Load authors at once"
    for part in ("one statement instead of 20", "- latency −40 %", "- more memory", "Finding: f1"):
        assert part in text


def _kept(tree: Worktree) -> str:
    write_fix(tree, _fix(shop__main_dot_py="ANSWER = 4\n", dos_dot_py="one = 1\r\ntwo = 2\r\n"))
    return tree.commit(message("First", "h", ["a"]))


def test_a_published_branch_is_all_that_is_added(user: Path, tree: Worktree) -> None:
    before = fingerprint(user)
    first = _kept(tree)
    write_fix(tree, _fix(shop__new_dot_py="x = 1\n"))
    head = tree.commit(message("Second", "h", []))
    assert publish(user, tree, "perfcrew/run-1") == head
    assert git(user, "rev-parse", "perfcrew/run-1", "perfcrew/run-1~1").split() == [head, first]
    git(user, "fsck", "--strict")
    added = {name for name in fingerprint(user).items() ^ before.items() if name[0] not in before}
    names = {name for name, _ in added}
    assert all(n.startswith((".git/objects/", ".git/refs/heads/perfcrew")) for n in names), names
    now = fingerprint(user)
    assert {n: now[n] for n in before} == before
    assert publish(user, tree, "perfcrew/run-1") == head, "a resumed run publishes the same again"


@pytest.mark.parametrize("depth", [1, 50])
async def test_publishing_into_a_shallow_clone(user: Path, tmp_path: Path, depth: int) -> None:
    git(tmp_path, "clone", "-q", f"--depth={depth}", user.as_uri(), "shallow")
    make_dirty(tmp_path / "shallow")
    (tmp_path / "w").mkdir()
    async with worktree(tmp_path / "shallow", Registry(tmp_path / "l"), tmp_path / "w", carry_uncommitted=True) as tree:
        write(tree.path, api__shop__x_dot_py="x = 1\n")
        head = tree.commit("x")
        assert publish(tmp_path / "shallow", tree, "perfcrew/x", Registry(tmp_path / "l")) == head
    git(tmp_path / "shallow", "fsck", "--strict")
    assert git(tmp_path / "shallow", "log", "--format=%s", "-2", "perfcrew/x").split("\n")[0] == "x"


def test_a_branch_of_the_users_is_not_overwritten(user: Path, tree: Worktree) -> None:
    git(user, "branch", "perfcrew/theirs")
    _kept(tree)
    before = fingerprint(user)
    with pytest.raises(UsageError, match="not perfcrew's"):
        publish(user, tree, "perfcrew/theirs")
    assert fingerprint(user) == before


def test_our_branch_is_replaced_unless_it_is_checked_out(user: Path, tree: Worktree) -> None:
    _kept(tree)
    publish(user, tree, "perfcrew/run")
    tree.reset("HEAD~1")
    write_fix(tree, _fix(shop__other_dot_py="x = 1\n"))
    head = tree.commit("Another")
    assert publish(user, tree, "perfcrew/run") == head
    git(user, "checkout", "-q", "perfcrew/run")
    tree.reset("HEAD~1")
    _kept(tree)
    with pytest.raises(UsageError, match="is checked out"):
        publish(user, tree, "perfcrew/run")


def test_a_patch_file_brings_the_users_files_to_the_kept_state(user: Path, tree: Worktree, tmp_path: Path) -> None:
    write(user, README_dot_md="the user works here\n", scratch_dot_py="new\n")
    git(user, "add", "README.md")
    index = (user / ".git/index").read_bytes()
    _kept(tree)
    patch = diff(tree, tree.base_commit)
    save_patch(patch, tmp_path / "out" / "optimize.patch")
    assert patch == (tmp_path / "out/optimize.patch").read_bytes().decode()
    assert set(apply_patch_file(user, tmp_path / "out/optimize.patch")) == {"api/shop/main.py", "api/dos.py"}
    assert (user / "api/dos.py").read_bytes() == b"one = 1\r\ntwo = 2\r\n"
    assert (user / "api/shop/main.py").read_text() == "ANSWER = 4\n"
    assert (user / ".git/index").read_bytes() == index
    assert (user / "README.md").read_text() == "the user works here\n"


def test_what_the_user_changed_is_not_overwritten(user: Path, tree: Worktree) -> None:
    _kept(tree)
    patch = diff(tree, tree.base_commit)
    write(user, api__dos_dot_py="mine\n")
    before = fingerprint(user)
    with pytest.raises(UsageError, match=r"api/dos\.py: changed and not committed"):
        apply_to_tree(user, patch)
    (user / "api/dos.py").unlink()
    write(user, api__shop__main_dot_py="ANSWER = 8\n")
    commit(user, "the user goes on")
    before = fingerprint(user)
    with pytest.raises(UsageError, match="does not fit"):
        apply_to_tree(user / "api", patch)
    with pytest.raises(UsageError, match="no patch"):
        apply_to_tree(user, "hello")
    assert fingerprint(user) == before


def test_a_binary_change_survives_the_patch(user: Path, tree: Worktree) -> None:
    (tree.target_root / "logo.png").write_bytes(bytes(range(255, -1, -1)))
    tree.commit("A logo")
    patch = diff(tree, tree.base_commit)
    assert subprocess.run(["git", "apply", "--check"], cwd=user, input=patch.encode(), check=False).returncode == 0
    apply_to_tree(user, patch)
    assert (user / "api/logo.png").read_bytes() == bytes(range(255, -1, -1))
