"""Writes project skeletons to a folder, with an environment whose interpreter is ours and whose programs are stubs."""

from __future__ import annotations

import functools
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from perfcrew.target.detect import interpreter

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "from flask import Flask\napp = Flask(__name__)\n"
MANAGE = """
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "x"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
"""
WSGI = """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
application = get_wsgi_application()
"""


def lay(root: Path, files: Mapping[str, str], programs: Sequence[str] = ()) -> Path:
    """Write the files below `root`, and a `.venv` with the programs; returns the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    environment(root / ".venv", programs)
    return root


def environment(folder: Path, programs: Sequence[str] = ()) -> Path:
    """A virtual environment's shape: a python that is ours, and programs that do nothing. Returns the python.

    What the interpreter says of itself is asked once and repeated, as starting Python for each skeleton takes long.
    """
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "pyvenv.cfg").write_text("home = /nowhere\n")
    (folder / "answer.json").write_text(_answer())
    said = f"cat {folder}/answer.json"
    python = f'#!/bin/sh\ncase "$2" in *importlib.metadata*) {said};; *) exec {sys.executable} "$@";; esac\n'
    for name in ("python", *programs):
        path = folder / "bin" / name
        path.write_text(python if name == "python" else "#!/bin/sh\nexit 1\n")
        path.chmod(0o755)
    return folder / "bin" / "python"


@functools.cache
def _answer() -> str:
    asked = interpreter.ask(Path(sys.executable), "ours")
    assert asked is not None
    return json.dumps({"names": sorted(asked.modules), "scripts": {}, "prefix": "/", "version": asked.version}) + "\n"


def django(prefix: str = "", settings: str = "shop.settings") -> dict[str, str]:
    """A Django project's files below `prefix`."""
    package, _, module = settings.rpartition(".")
    folder = package.replace(".", "/")
    names = {f"{prefix}{folder}/{module}.py": SETTINGS, f"{prefix}manage.py": MANAGE.format(settings=settings)}
    top = folder.split("/")[0]
    names[f"{prefix}{top}/wsgi.py"] = WSGI.format(settings=settings)
    return {f"{prefix}{top}/__init__.py": "", f"{prefix}{folder}/__init__.py": "", **names}
