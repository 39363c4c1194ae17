"""Git repositories as users have them, and what must be the same in them before and after."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

_IDENTITY = ["-c", "user.name=A User", "-c", "user.email=user@example.org", "-c", "protocol.file.allow=always"]
_PLAIN = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(where: Path, *words: str) -> str:
    """As the user would run it."""
    done = subprocess.run(
        ["git", *_IDENTITY, *words], cwd=where, env=_PLAIN, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def write(root: Path, **files: str | bytes) -> None:
    """Files by name, `__` for a slash, `_dot_` for a dot, `INIT` for `__init__`."""
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".").replace("INIT", "__init__")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def repository(root: Path, **words: str) -> Path:
    """A small application in two commits, with a tag and what git ignores."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main", *words.values())
    write(
        root,
        api__shop__INIT_dot_py="",
        api__shop__main_dot_py="ANSWER = 1\n",
        api__shop__old_dot_py="".join(f"line_{n} = {n}\n" for n in range(20)),
        api__logo_dot_png=bytes(range(256)),
        api__run_dot_sh="#!/bin/sh\necho\n",
        README_dot_md="# shop\n",
        _dot_gitignore="*.so\n.env\n*.sqlite3\nnode_modules/\n.venv/\n",
    )
    (root / "api" / "run.sh").chmod(0o755)
    (root / "api" / "link.py").symlink_to("shop/main.py")
    commit(root, "one")
    git(root, "tag", "v1")
    write(root, api__shop__main_dot_py="ANSWER = 2\n")
    commit(root, "two")
    return root


def commit(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD").strip()


def make_dirty(root: Path) -> None:
    """Changes of every kind: changed, staged, renamed, removed, new, binary, mode, link."""
    write(root, api__shop__main_dot_py="ANSWER = 3\n", api__shop__new_dot_py="new = 1\n")
    write(root, api__logo_dot_png=bytes(reversed(range(256))), api__data_dot_bin=b"\0\1\2\r\n")
    write(root, **{"api__ü n_dot_txt": "a name with a blank\n"})
    git(root, "mv", "api/shop/old.py", "api/shop/renamed.py")
    write(root, api__staged_dot_py="staged = 1\n")
    git(root, "add", "api/staged.py")
    write(root, api__staged_dot_py="staged = 2\n")
    (root / "README.md").unlink()
    (root / "api" / "run.sh").chmod(0o644)
    (root / "api" / "link.py").unlink()
    (root / "api" / "link.py").symlink_to("shop/new.py")


def fingerprint(root: Path) -> dict[str, str]:
    """Every file, folder and link below the root, `.git` too: kind, mode, time, content; without our own `.perfcrew`.

    Of objects and shared indexes not the time: git renews it when it reads them, so that they are not pruned.
    """
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f != ".perfcrew"]
        for name in (*folders, *files):
            path = Path(folder, name)
            found[str(path.relative_to(root))] = _print(path)
    return found


def _print(path: Path) -> str:
    if path.is_symlink():
        return f"link {os.readlink(path)}"
    mode = oct(path.stat().st_mode)
    if path.is_dir():
        return mode
    renewed = ".git" in path.parts and ("objects" in path.parts or path.name.startswith("sharedindex."))
    time_ns = 0 if renewed else path.stat().st_mtime_ns
    return f"{mode} {time_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def contents(root: Path) -> dict[str, tuple[str, bytes]]:
    """Files as git sees them: mode and content, `.git` left out."""
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in (".git", ".perfcrew", "node_modules", ".venv")]
        for name in files:
            path = Path(folder, name)
            if name == ".git":
                continue
            link = path.is_symlink()
            kind = "link" if link else "exec" if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else "file"
            found[str(path.relative_to(root))] = (kind, os.readlink(path).encode() if link else path.read_bytes())
    return found
