"""How many processes a deployment asks for: from what the project's own files say, and never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from perfcrew.target.config import load
from perfcrew.target.detect import detect
from perfcrew.target.workers import workers
from tests.target.detect.skeletons import FASTAPI, FLASK, lay

PROGRAMS = ("uvicorn", "gunicorn")
KNOWN = {
    "Procfile": ({"Procfile": "web: uvicorn main:app --port $PORT --workers 4\n"}, 4),
    "Dockerfile, short": ({"Dockerfile": 'FROM python\nCMD ["gunicorn", "main:app", "-w", "3"]\n'}, 3),
    "a variable of the Dockerfile": ({"Dockerfile": "FROM python\nENV WEB_CONCURRENCY=6\nCMD uvicorn main:app\n"}, 6),
    "the command before the variable": (
        {"Dockerfile": "FROM python\nENV WEB_CONCURRENCY=6\nCMD uvicorn main:app --workers 2\n"},
        2,
    ),
    "given": ({"perfcrew.toml": '[target]\nstart = "uvicorn main:app --port {port} --workers 5"\n'}, 5),
    "given, with an equals sign": (
        {"perfcrew.toml": '[target]\nstart = "gunicorn main:app -b :{port} --workers=2"\n'},
        2,
    ),
    "given without a port, so that ours is put in": (
        {"perfcrew.toml": '[target]\nstart = "uvicorn main:app --workers 8"\n'},
        8,
    ),
    "a file of Gunicorn's": (
        {"Procfile": "web: gunicorn main:app\n", "gunicorn.conf.py": "bind = ':80'\nworkers = 7  # by trial\n"},
        7,
    ),
}
UNKNOWN: dict[str, Mapping[str, str]] = {
    "nothing says it": {},
    "a command without it": {"Procfile": "web: uvicorn main:app --port $PORT\n"},
    "a formula": {
        "Procfile": "web: gunicorn main:app\n",
        "gunicorn.conf.py": "import os\nworkers = os.cpu_count() * 2 + 1\n",
    },
    "Gunicorn's file, and another server": {"Procfile": "web: uvicorn main:app\n", "gunicorn.conf.py": "workers = 7\n"},
    "a class of workers": {"Procfile": "web: gunicorn main:app -k uvicorn.workers.UvicornWorker\n"},
    "a variable that the platform fills": {"Procfile": "web: uvicorn main:app --workers $WORKERS\n"},
}


@pytest.mark.parametrize("name", KNOWN)
def test_known(name: str, tmp_path: Path) -> None:
    files, count = KNOWN[name]
    root = lay(tmp_path, {"main.py": FASTAPI, **files}, PROGRAMS)
    found = workers(detect(root, config=load(root)))
    assert found is not None and found.count == count
    assert found.source


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown(name: str, tmp_path: Path) -> None:
    assert workers(detect(lay(tmp_path, {"main.py": FASTAPI, **UNKNOWN[name]}, PROGRAMS))) is None


def test_our_own_default_is_no_deployments(tmp_path: Path) -> None:
    project = detect(lay(tmp_path, {"app.py": FLASK}, PROGRAMS))
    assert "--workers" in project.start and workers(project) is None
