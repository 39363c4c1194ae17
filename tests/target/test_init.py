"""What `init` writes can be read, and leads to the same project."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from perfcrew.core.errors import UsageError
from perfcrew.core.project import (
    Auth,
    DataPlan,
    LoginRequest,
    Project,
    Scenario,
    ScenarioRequest,
    Workload,
)
from perfcrew.target import config, init
from perfcrew.target.detect import detect, interpreter

PYTHON = Path(sys.executable)
SOURCE = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/health')\ndef h(): ...\n"
TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)
NAME = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
WORD = TEXT.filter(lambda t: "{" not in t)
COMMAND = st.lists(WORD, min_size=1, max_size=4).map(lambda words: ("tool", *words))
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)
JSON = st.recursive(st.booleans() | st.integers(-9, 9) | TEXT, lambda inner: st.lists(inner, max_size=2), max_leaves=4)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that repeats what ours says of itself: starting Python for each example takes long."""
    asked = interpreter.ask(PYTHON, "ours")
    assert asked is not None
    said = {"names": sorted(asked.modules), "scripts": {}, "prefix": "/", "version": asked.version}
    python = tmp_path_factory.mktemp("quick") / "python"
    python.write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\n")
    python.chmod(0o755)
    return python


@st.composite
def projects(draw: st.DrawFn, root: Path, python: Path) -> Project:
    """Any project in an empty folder: nothing of it can be detected, so all must be in the file."""
    optional = draw(st.fixed_dictionaries({}, optional=_optional(root)))
    login = LoginRequest(path="/login", form={"user": draw(TEXT)}, csrf=draw(st.booleans()))
    headers = draw(st.dictionaries(NAME.map("x-{}".format), TEXT, max_size=2))
    auth = Auth(headers=headers, login=draw(st.none() | st.just(login)))
    return Project(
        root=root,
        name=draw(TEXT.filter(bool)),
        framework=draw(st.sampled_from(["fastapi", "starlette", "flask"])),
        python=python,
        workdir=root / draw(st.sampled_from([".", "inner"])),
        start=(*draw(COMMAND), "{port}"),
        environment=draw(st.dictionaries(NAME, TEXT, max_size=3)),
        auth=auth,
        other_user=draw(st.none() | st.just(auth.model_copy(update={"headers": {"X-Who": "env:OTHER"}}))),
        **optional,
    )


def _optional(root: Path) -> dict[str, st.SearchStrategy[object]]:
    request = st.builds(ScenarioRequest, path=PATH, json_body=st.none() | st.dictionaries(NAME, JSON, max_size=2))
    return {
        "prepare": st.lists(COMMAND, min_size=1, max_size=2).map(tuple),
        "migrate": COMMAND,
        "tests": COMMAND,
        "health": PATH.map("/{}".format),
        "database_url": PATH.map("postgresql://localhost/{}".format),
        "database_variable": NAME,
        "database_files": st.lists(PATH.map(lambda p: root / p), min_size=1, max_size=2).map(tuple),
        "frontend": PATH.map(lambda p: root / p),
        "exclude": st.lists(TEXT, min_size=1, max_size=2).map(tuple),
        "methods": st.just(("GET", "POST")),
        "start_timeout_s": st.floats(1, 500),
        "profile": st.sampled_from(["web-api", "strict"]),
        "scenarios": st.builds(
            Scenario,
            name=TEXT,
            requests=st.lists(request, min_size=1, max_size=2).map(tuple),
            share=st.none() | st.floats(0, 1),
        ).map(lambda s: (s,)),
        "workload": st.builds(
            Workload, peak_rps=st.floats(1, 99), shares=st.dictionaries(TEXT, st.floats(0, 1), max_size=2)
        ),
        "data": st.builds(DataPlan, seed=COMMAND, rows=st.integers(1, 9), generate=st.booleans()),
    }


@given(data=st.data())
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_document_leads_to_the_same_project(data: st.DataObject, tmp_path: Path, quick: Path) -> None:
    (tmp_path / "inner").mkdir(exist_ok=True)
    project = data.draw(projects(tmp_path, quick))
    text = init.document(project)
    read = config.parse(tomllib.loads(text), tmp_path / "perfcrew.toml")
    assert _facts(detect(tmp_path, config=read)) == _facts(project)


def _facts(project: Project) -> dict[str, object]:
    return project.model_dump(exclude={"detected", "app", "factory"})


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


DETECTED = [
    {"main.py": SOURCE},
    {"main.py": SOURCE, ".env": "DATABASE_URL=postgresql://u:hunter2@h/d\nAPI_KEY=hunter2\n"},
    {
        "main.py": SOURCE + "import os\nU = os.getenv('DB_URL', 'sqlite:///x.db')\n",
        ".env.example": "SECRET_KEY=changeme\n",
    },
    {"src/shop/__init__.py": "", "src/shop/main.py": SOURCE, "pyproject.toml": "[project]\nname = 'shop'\n"},
    {"Procfile": "release: python -m prep\nweb: uvicorn main:app --port $PORT\n", "main.py": SOURCE, "prep.py": "1\n"},
    {
        "backend/main.py": SOURCE,
        "backend/Dockerfile": "FROM p\nENV APP_MODE=x\nCMD uvicorn main:app\n",
        "worker/main.py": SOURCE,
    },
]


@pytest.mark.parametrize("files", DETECTED, ids=lambda files: ", ".join(files))
def test_what_was_detected_is_found_again(files: dict[str, str], tmp_path: Path) -> None:
    lay(tmp_path, files)
    project = detect(tmp_path, python=PYTHON)
    written = init.write(tmp_path, project)
    text = written.read_text()
    assert "hunter2" not in text
    again = detect(tmp_path, python=PYTHON, config=config.load(tmp_path))
    assert again.model_dump(exclude={"detected"}) == project.model_dump(exclude={"detected"})
    assert init.document(detect(tmp_path, config=config.load(tmp_path))).count("\nstart = ") == 1


def test_each_key_has_its_reason(tmp_path: Path) -> None:
    lay(tmp_path, {"main.py": SOURCE, "Procfile": "web: uvicorn main:app --port $PORT --workers 4\n"})
    text = init.document(detect(tmp_path, python=PYTHON))
    before, _, after = text.partition("start = ")
    assert before.splitlines()[-1] == "# Procfile:1: Procfile starts uvicorn on main:app; one worker instead of 4"
    assert after.splitlines()[0] == '"uvicorn main:app --host {host} --port {port}"'
    assert "# main.py:3: a route of that name\nhealth = " in text


def test_a_reference_stays_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", "hunter2")
    lay(tmp_path, {"main.py": SOURCE, "perfcrew.toml": '[target.environment]\nA = "env:SHOP_SECRET"\n'})
    project = detect(tmp_path, python=PYTHON, config=config.load(tmp_path))
    assert project.environment["A"] == "hunter2"
    text = init.document(project)
    assert 'A = "env:SHOP_SECRET"' in text
    assert "hunter2" not in text


def test_what_the_user_emptied_stays_empty(tmp_path: Path) -> None:
    lay(tmp_path, {"main.py": SOURCE, "perfcrew.toml": '[target]\nhealth = ""\ntests = []\n', "tests/test_a.py": ""})
    project = detect(tmp_path, python=PYTHON, config=config.load(tmp_path))
    read = config.parse(tomllib.loads(init.document(project)), tmp_path / "perfcrew.toml")
    assert (read.target.health, read.target.tests) == ("", ())


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    lay(tmp_path, {"main.py": SOURCE, "perfcrew.toml": "# mine\n"})
    project = detect(tmp_path, python=PYTHON)
    with pytest.raises(UsageError, match="there already"):
        init.write(tmp_path, project)
    assert (tmp_path / "perfcrew.toml").read_text() == "# mine\n"
    init.write(tmp_path, project, force=True)
    assert "[target]" in (tmp_path / "perfcrew.toml").read_text()
    assert sorted(os.listdir(tmp_path)) == ["main.py", "perfcrew.toml"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    lay(tmp_path, {"main.py": SOURCE})
    with pytest.raises(UsageError, match="can't be written"):
        init.write(tmp_path / "gone", detect(tmp_path, python=PYTHON))
