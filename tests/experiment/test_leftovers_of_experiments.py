"""What a killed experiment leaves is removed, and nothing that is not its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from perfcrew.core.project import Project
from perfcrew.experiment.overlay import on_worktree
from perfcrew.experiment.worktrees import worktree
from perfcrew.target.clone import Clone
from perfcrew.target.leftovers import Registry

from .repositories import commit, fingerprint, git, repository, write

_KILLED = """
import os, signal, sys
from pathlib import Path
from perfcrew.target.leftovers import Registry
root, folder = Path(sys.argv[1]), Path(sys.argv[2])
registry = Registry(root / ".perfcrew" / "leftovers", "run")
lock = root / ".git/refs/heads/perfcrew/run.lock"
for path in (lock, folder):
    registry.temporary(path)
lock.write_text("")
(folder / "tree" / "locked").mkdir(parents=True)
(folder / "tree" / "locked" / "x").write_text("")
(folder / "tree" / "out").symlink_to(root)
(folder / "tree" / "locked").chmod(0o500)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_lock_of_the_result_branch_goes_and_the_users_branches_stay(tmp_path: Path) -> None:
    root = repository(tmp_path / "shop")
    git(root, "branch", "perfcrew/mine")
    before = fingerprint(root)
    folder = tmp_path / "perfcrew-run"
    subprocess.run([sys.executable, "-c", _KILLED, str(root), str(folder)], check=False, timeout=30)
    assert (root / ".git/refs/heads/perfcrew/run.lock").exists()
    ended = Registry(root / ".perfcrew" / "leftovers").sweep()
    assert {e.name for e in ended if e.done} == {str(folder), str(root / ".git/refs/heads/perfcrew/run.lock")}
    assert not folder.exists()
    now = fingerprint(root)
    now[".git/refs/heads/perfcrew"] = before[".git/refs/heads/perfcrew"]
    assert now == before


async def test_a_clone_that_is_a_copy_of_the_tree_runs_the_worktrees_code(tmp_path: Path) -> None:
    root = repository(tmp_path / "shop")
    write(root, api__gone_dot_py="x = 1\n", api__gone_dot_html="x", _dot_gitignore="local_settings.py\n_version.py\n")
    commit(root, "one more")
    write(root, api__local_settings_dot_py="DEBUG = 1\n", api__shop___version_dot_py="version = 3\n")
    copy = tmp_path / "clone" / "tree"
    copy.parent.mkdir()
    subprocess.run(["cp", "-a", str(root / "api"), str(copy)], check=True, timeout=30)
    (copy / "shop.sqlite3").write_bytes(b"data")
    project = Project(
        root=root / "api", name="shop", framework="unknown", python=Path("/p"), workdir=root / "api", start=("x",)
    )
    clone = Clone("a", "sqlite", copy.parent, source_root=copy, workdir=copy, project=project)
    (tmp_path / "w").mkdir()
    async with worktree(root / "api", Registry(tmp_path / "left"), tmp_path / "w") as tree:
        write(tree.target_root, shop__main_dot_py="ANSWER = 5\n", new_dot_py="x = 2\n")
        (tree.target_root / "gone.py").unlink()
        (tree.target_root / "gone.html").unlink()
        laid = on_worktree(clone, tree)
        assert laid.moved(f"{tree.target_root}/run.sh") == f"{copy}/run.sh"
        plain = Clone("b", "sqlite", copy.parent)
        assert on_worktree(plain, tree) is plain
    assert (copy / "shop/main.py").read_text() == "ANSWER = 5\n"
    assert (copy / "new.py").is_file()
    assert [path.name for path in copy.glob("gone.*")] == []
    assert (copy / "local_settings.py").read_text() == "DEBUG = 1\n"
    assert (copy / "shop" / "_version.py").read_text() == "version = 3\n"
    assert (copy / "shop.sqlite3").read_bytes() == b"data"


async def test_a_database_that_git_tracks_stays_and_what_came_uncommitted_can_be_removed(tmp_path: Path) -> None:
    root = repository(tmp_path / "shop")
    write(root, api__shop_dot_db=b"of the commit", api__old_dot_db=b"of the commit")
    commit(root, "data")
    write(root, api__new_dot_py="x = 1\n")
    copy = tmp_path / "clone" / "tree"
    copy.parent.mkdir()
    subprocess.run(["cp", "-a", str(root / "api"), str(copy)], check=True, timeout=30)
    (copy / "shop.db").write_bytes(b"data")
    (copy / "old.db").write_bytes(b"data")
    urls = {name: f"sqlite:///{copy}/{name}.db" for name in ("shop", "old")}
    (tmp_path / "w").mkdir()
    async with worktree(root / "api", Registry(tmp_path / "left"), tmp_path / "w", carry_uncommitted=True) as tree:
        assert (tree.target_root / "new.py").is_file()
        (tree.target_root / "new.py").unlink()
        (tree.target_root / "old.db").unlink()
        on_worktree(Clone("a", "sqlite", copy.parent, urls=urls, source_root=copy, workdir=copy), tree)
    assert not (copy / "new.py").exists()
    assert [(copy / f"{name}.db").read_bytes() for name in urls] == [b"data", b"data"]
