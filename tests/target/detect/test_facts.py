"""What is found out beside the start command: environment, database, health, chores, front end; and what is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from perfcrew.core.errors import NotDetected, UsageError
from perfcrew.core.project import Project
from perfcrew.target import config
from perfcrew.target.detect import detect
from perfcrew.target.detect.environment import HARMLESS
from perfcrew.target.detect.interpreter import plain

from .skeletons import FASTAPI, FLASK, django, environment, lay

PROGRAMS = ("uvicorn", "gunicorn", "flask", "alembic")


@pytest.fixture(autouse=True)
def _no_environment_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)


def found(root: Path, files: Mapping[str, str]) -> Project:
    return detect(lay(root, files, PROGRAMS))


@dataclass(frozen=True)
class Database:
    """A source, and the URL, variable and file that it means (`{root}` is the project's folder)."""

    name: str
    files: Mapping[str, str]
    url: str | None
    variable: str | None = None
    file: str | None = None


DATABASES = [
    Database("none at all", {"main.py": FASTAPI}, None),
    Database("a URL of another kind", {"main.py": FASTAPI + "A = 'https://sqlite.org/x'\n"}, None),
    Database(
        "os.getenv with a default",
        {"main.py": FASTAPI + "import os\nU = os.getenv('DATABASE_URL', 'sqlite:///./shop.db')\n"},
        "sqlite:///./shop.db",
        "DATABASE_URL",
        "shop.db",
    ),
    Database(
        "environ or a constant",
        {"main.py": FASTAPI + "import os\nD = 'sqlite+aiosqlite:///a.db'\nU = os.environ.get('DB_URL') or D\n"},
        "sqlite+aiosqlite:///a.db",
        "DB_URL",
        "a.db",
    ),
    Database(
        "a name that is a constant",
        {"main.py": FASTAPI + "import os\nENV = 'SHOP_DATABASE_URL'\nU = os.getenv(ENV, 'sqlite:///b.db')\n"},
        "sqlite:///b.db",
        "SHOP_DATABASE_URL",
        "b.db",
    ),
    Database(
        "a pydantic settings field with a prefix",
        {
            "main.py": FASTAPI,
            "conf.py": "from pydantic_settings import BaseSettings, SettingsConfigDict\nclass Settings(BaseSettings):\n"
            "    model_config = SettingsConfigDict(env_prefix='SHOP_')\n    database_url: str = 'sqlite:///c.db'\n",
        },
        "sqlite:///c.db",
        "SHOP_DATABASE_URL",
        "c.db",
    ),
    Database(
        "a path from __file__",
        {
            "main.py": FLASK + "import os\nbase = os.path.abspath(os.path.dirname(__file__))\n"
            "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///' + os.path.join(base, 'data', 'd.db')\n"
        },
        "sqlite:///{root}/data/d.db",
        None,
        "data/d.db",
    ),
    Database(
        "pathlib and an f-string",
        {
            "main.py": FASTAPI + "from pathlib import Path\nHERE = Path(__file__).resolve().parent\n"
            "engine = create_engine(f'sqlite:///{HERE / \"e.db\"}')\n"
        },
        "sqlite:///{root}/e.db",
        None,
        "e.db",
    ),
    Database(
        "in .env, over the default of the source",
        {
            ".env": "DATABASE_URL=postgresql://u:secret@localhost/shop\n",
            "main.py": FASTAPI + "import os\nU = os.environ.get('DATABASE_URL', 'sqlite:///f.db')\n",
        },
        "postgresql://u:secret@localhost/shop",
        "DATABASE_URL",
    ),
    Database(
        "an example's server gives way to the default of the source",
        {
            ".env.example": "DATABASE_URL=postgresql://u:p@db/shop\n",
            "main.py": FASTAPI + "import os\nU = os.environ.get('DATABASE_URL', 'sqlite:///g.db')\n",
        },
        "sqlite:///g.db",
        "DATABASE_URL",
        "g.db",
    ),
    Database(
        "the test database is another",
        {
            "main.py": FASTAPI + "import os\nT = os.getenv('TEST_DATABASE_URL', 'sqlite:///t.db')\n"
            "U = os.getenv('DATABASE_URL', 'sqlite:///h.db')\n"
        },
        "sqlite:///h.db",
        "DATABASE_URL",
        "h.db",
    ),
    Database("in memory", {"main.py": FASTAPI + "e = create_engine('sqlite:///:memory:')\n"}, "sqlite:///:memory:"),
    Database("Django's settings are asked", django(), "sqlite:///{root}/db.sqlite3", None, "db.sqlite3"),
    Database(
        "a variable without default",
        {"main.py": FASTAPI + "import os\nU = os.environ['DATABASE_URL']\n"},
        None,
        "DATABASE_URL",
    ),
]


@pytest.mark.parametrize("case", DATABASES, ids=lambda c: c.name)
def test_database(case: Database, tmp_path: Path) -> None:
    project = found(tmp_path, case.files)
    assert project.database_url == (case.url.replace("{root}", str(tmp_path)) if case.url else None)
    assert project.database_variable == case.variable
    assert project.database_files == ((tmp_path / case.file,) if case.file else ())


def test_flask_sqlalchemy_keeps_relative_files_in_the_instance_folder(tmp_path: Path) -> None:
    project = found(
        tmp_path, {"app.py": FLASK + "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///x.db'\n", "instance/x.db": ""}
    )
    expected = tmp_path / ("instance/x.db" if _has("flask_sqlalchemy") else "x.db")
    assert project.database_files == (expected,)


def _has(module: str) -> bool:
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def test_a_password_is_in_the_url_but_not_in_what_is_told_of_it(tmp_path: Path) -> None:
    project = found(
        tmp_path, {"main.py": FASTAPI, ".env": "DATABASE_URL=postgresql://u:hunter2@h/d\nAPI_KEY=hunter2\n"}
    )
    assert "hunter2" in str(project.database_url)
    assert "hunter2" not in str(project.detected)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "changeme", HARMLESS),
        ("SECRET_KEY", "", HARMLESS),
        ("API_TOKEN", "<your token>", HARMLESS),
        ("JWT_SECRET", "a-real-looking-value", "a-real-looking-value"),
        ("APP_NAME", "changeme", "changeme"),
        ("APP_NAME", "", None),
        ("APP_URL", "${HOST_URL}", None),
    ],
)
def test_placeholders_of_an_example(name: str, value: str, expected: str | None, tmp_path: Path) -> None:
    assert (
        found(tmp_path, {"main.py": FASTAPI, ".env.example": f"{name}='{value}'\n"}).environment.get(name) == expected
    )


def test_a_real_environment_file_leaves_the_example_unread(tmp_path: Path) -> None:
    project = found(tmp_path, {"main.py": FASTAPI, ".env": "A=1\n", ".env.example": "A=2\nB=2\n"})
    assert project.environment == {"A": "1"}


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (FASTAPI + "@app.get('/healthz')\ndef h(): ...\n", "/healthz"),
        (FASTAPI + "@app.get('/status')\ndef s(): ...\n@app.get('/health')\ndef h(): ...\n", "/health"),
        (
            FASTAPI + "from fastapi import APIRouter\nr = APIRouter(prefix='/api')\n@r.get('/ping')\ndef h(): ...\n",
            "/api/ping",
        ),
        (FASTAPI + "@app.post('/health')\ndef h(): ...\n", None),
        (FASTAPI + "@app.get('/health/{name}')\ndef h(): ...\n", None),
        (FASTAPI + "@app.get('/health-insurance')\ndef h(): ...\n", None),
        (FLASK + "@app.route('/health', methods=['POST'])\ndef h(): ...\n", None),
        (FLASK + "app.add_url_rule('/_health', view_func=print)\n", "/_health"),
        (FASTAPI + "client.get('https://other/health')\n", None),
        (FASTAPI + "settings = {}\nsettings.get('status')\n", None),
        (FASTAPI + "httpx.get('/health')\n", None),
    ],
)
def test_health(source: str, path: str | None, tmp_path: Path) -> None:
    assert found(tmp_path, {"main.py": source}).health == path


def test_health_under_the_prefix_by_which_another_file_includes_the_router(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/main.py": FASTAPI + "from app.routers import health\napp.include_router(health.router, prefix='/v1')\n",
        "app/routers/__init__.py": "",
        "app/routers/health.py": "from fastapi import APIRouter\nrouter = APIRouter()\n"
        "@router.get('/health')\ndef h(): ...\n",
    }
    assert found(tmp_path, files).health == "/v1/health"


def test_health_check_of_the_dockerfile_goes_first(tmp_path: Path) -> None:
    docker = "FROM python\nHEALTHCHECK CMD curl -f http://localhost:80/up/now || exit 1\nCMD uvicorn main:app\n"
    source = FASTAPI + "@app.get('/health')\ndef h(): ...\n"
    assert found(tmp_path, {"main.py": source, "Dockerfile": docker}).health == "/up/now"


SEEDS = [
    (
        "a module with a size",
        {
            "main.py": FASTAPI,
            "shop/__init__.py": "",
            "shop/seed.py": "p.add_argument('--rows', type=int)\nif __name__ == '__main__': ...\n",
        },
        "python -m shop.seed --rows {rows}",
    ),
    (
        "an option that is no size",
        {
            "main.py": FASTAPI,
            "seed.py": "p.add_argument('--seed', type=int)\np.add_argument('--name')\nif __name__ == '__main__': ...\n",
        },
        "python seed.py",
    ),
    ("a module that is only imported", {"main.py": FASTAPI, "seed.py": "def seed(): ...\n"}, ""),
    (
        "a management command",
        {
            **django(),
            "shop/management/__init__.py": "",
            "shop/management/commands/__init__.py": "",
            "shop/management/commands/populate_db.py": "class Command:\n    def add_arguments(self, parser):\n"
            "        parser.add_argument('--count', type=int)\n",
        },
        "python manage.py populate_db --count {rows}",
    ),
    ("fixtures", {**django(), "shop/fixtures/books.json": "[]"}, "python manage.py loaddata books.json"),
    (
        "a command of the Flask application",
        {
            "app.py": FLASK
            + "import click\n@app.cli.command('seed')\n@click.option('--num-items', type=int)\ndef s(num_items): ...\n"
        },
        "flask --app app:app seed --num-items {rows}",
    ),
    (
        "a target of the Makefile",
        {"main.py": FASTAPI, "Makefile": "run:\n\tuvicorn main:app\nseed: db\n\t@python -m tool.fill --all\n"},
        "python -m tool.fill --all",
    ),
]


@pytest.mark.parametrize(("files", "command"), [s[1:] for s in SEEDS], ids=[s[0] for s in SEEDS])
def test_seed(files: Mapping[str, str], command: str, tmp_path: Path) -> None:
    project = found(tmp_path, files)
    assert " ".join(plain(project.python, project.data.seed)) == command


def test_alembic_flask_migrate_and_tests(tmp_path: Path) -> None:
    one = found(
        tmp_path / "one", {"pyproject.toml": "", "src/main.py": FASTAPI, "db/alembic.ini": "", "tests/test_x.py": ""}
    )
    assert plain(one.python, one.migrate) == ("alembic", "-c", "db/alembic.ini", "upgrade", "head")
    assert plain(one.python, one.tests)[:3] == ("python", "-m", "pytest")
    two = found(tmp_path / "two", {"app.py": FLASK, "migrations/env.py": "from flask import current_app\n"})
    assert plain(two.python, two.migrate) == ("flask", "--app", "app:app", "db", "upgrade")


def test_front_end(tmp_path: Path) -> None:
    files = {
        "main.py": FASTAPI,
        "package.json": '{"devDependencies": {"prettier": "1"}}',
        "web/package.json": '{"dependencies": {"react": "18"}}',
    }
    assert found(tmp_path, files).frontend == tmp_path / "web"


def test_what_would_write_into_the_project_is_left_out_and_said(tmp_path: Path) -> None:
    docker = "FROM python\nCMD python manage.py collectstatic --noinput && gunicorn shop.wsgi\n"
    project = found(tmp_path, {**django(), "Dockerfile": docker})
    assert project.prepare == ()
    assert any("collectstatic" in d.why for d in project.detected if d.key == "prepare")


def test_nothing_is_written_and_nothing_imported(tmp_path: Path) -> None:
    files = {"main.py": FASTAPI + "open('proof', 'w')\n", "conf.py": "raise SystemExit('imported')\n"}
    lay(tmp_path, files, PROGRAMS)
    before = sorted(os.walk(tmp_path))
    detect(tmp_path)
    assert sorted(os.walk(tmp_path)) == before


def test_django_settings_that_fail_leave_the_rest_known(tmp_path: Path) -> None:
    files = {**django(), "shop/settings.py": "raise RuntimeError('no SECRET')\n"}
    project = found(tmp_path, files)
    assert project.database_url is None
    assert any("no SECRET" in d.why for d in project.detected if d.key == "database_url")


REFUSED = [
    ("an empty folder", {}, "no start command and no application found", 'start = "uvicorn'),
    (
        "two equal applications",
        {"services/a/main.py": FASTAPI, "services/b/main.py": FASTAPI},
        "2 applications",
        "--app services/a",
    ),
    (
        "two equal Dockerfiles",
        {
            f"svc/{n}/{f}": t
            for n in "ab"
            for f, t in (("Dockerfile", "FROM p\nCMD uvicorn main:app\n"), ("main.py", FASTAPI))
        },
        "2 applications",
        "--app svc/b",
    ),
    (
        "a factory with unknown arguments",
        {"shop.py": "from fastapi import FastAPI\ndef create_app(settings):\n    return FastAPI()\n"},
        "needs the arguments settings",
        "[target] app",
    ),
]


@pytest.mark.parametrize(("files", "what", "do"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(files: Mapping[str, str], what: str, do: str, tmp_path: Path) -> None:
    with pytest.raises(NotDetected) as caught:
        found(tmp_path, files)
    assert what in str(caught.value)
    assert do in str(caught.value)
    assert str(caught.value.where)


def test_no_server_is_installed(tmp_path: Path) -> None:
    with pytest.raises(NotDetected, match=r"the interpreter has no"):
        detect(
            lay(tmp_path, {"main.py": "from flask import Flask\nfrom quart import Quart\napp = Quart('x')\n"}),
            python=_bare(tmp_path),
        )


def _bare(folder: Path) -> Path:
    """A python that says it has Quart, and no server."""
    python = environment(folder / "bare")
    answer = '{"names": ["quart"], "scripts": {}, "prefix": "/", "version": "3"}'
    python.write_text(f"#!/bin/sh\necho '{answer}'\n")
    return python


def test_no_interpreter_has_the_framework(tmp_path: Path) -> None:
    lay(tmp_path, {"main.py": FASTAPI})
    python = environment(tmp_path / "other")
    python.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(NotDetected) as caught:
        detect(tmp_path, python=python)
    assert "does not run" in str(caught.value)
    assert "[target] python" in str(caught.value)


def test_an_application_that_is_not_there(tmp_path: Path) -> None:
    lay(tmp_path, {"main.py": FASTAPI}, PROGRAMS)
    with pytest.raises(NotDetected, match="choose one of: main:app"):
        detect(tmp_path, app="mian:app")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        detect(tmp_path / "nothing")


OVERRIDES = [
    ('start = "uvicorn other:app --port 99"', "start", "uvicorn other:app --host {host} --port {port}"),
    ('start = "uvicorn other:app -x --port {port}"', "start", "uvicorn other:app -x --port {port}"),
    ('migrate = "make db"', "migrate", "make db"),
    ("migrate = []", "migrate", ""),
    ('tests = ["python", "-m", "nose"]', "tests", "python -m nose"),
]


@pytest.mark.parametrize(("line", "key", "expected"), OVERRIDES)
def test_configuration_overrides_commands(line: str, key: str, expected: str, tmp_path: Path) -> None:
    files = {"main.py": FASTAPI, "other.py": FASTAPI, "alembic.ini": "", "perfcrew.toml": f"[target]\n{line}\n"}
    lay(tmp_path, files, PROGRAMS)
    project = detect(tmp_path, config=config.load(tmp_path))
    assert " ".join(plain(project.python, getattr(project, key))) == expected
    assert [d.source for d in project.detected if d.key == key] == ["perfcrew.toml"]


def test_configuration_is_enough_where_nothing_can_be_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[target]\nframework = "fastapi"\nstart = "serve --listen {port}"\nhealth = "/up"\n'
    text += '[target.environment]\nA = "env:OF_OURS"\n'
    lay(tmp_path, {"perfcrew.toml": text}, ("serve",))
    monkeypatch.setenv("OF_OURS", "value")
    project = detect(tmp_path, config=config.load(tmp_path))
    assert (project.framework, project.health, project.environment["A"]) == ("fastapi", "/up", "value")
    assert plain(project.python, project.start) == ("serve", "--listen", "{port}")


def test_configuration_names_a_variable_that_is_not_set(tmp_path: Path) -> None:
    lay(tmp_path, {"main.py": FASTAPI, "perfcrew.toml": '[target.environment]\nA = "env:NOWHERE_SET"\n'}, PROGRAMS)
    with pytest.raises(UsageError, match="NOWHERE_SET is not set"):
        detect(tmp_path, config=config.load(tmp_path))


def test_an_installed_application_is_found_by_its_console_script(tmp_path: Path) -> None:
    """Only the environment lies in the folder, as after `pip install shop`."""
    package = {
        "shop/__init__.py": "",
        "shop/app.py": FASTAPI,
        "shop/cli.py": "import uvicorn, argparse\nfrom shop.app import app\n"
        "def main():\n    argparse.ArgumentParser().add_argument('--port')\n    uvicorn.run(app)\n",
    }
    site = lay(tmp_path / "site", package)
    python = environment(tmp_path / "work" / ".venv", ("shop",))
    scripts = f'{{"shop": ["shop.cli:main", "{site}", "shop"]}}'
    python.write_text(
        f'#!/bin/sh\necho \'{{"names": ["fastapi"], "scripts": {scripts}, "prefix": "/", "version": "3"}}\'\n'
    )
    project = detect(tmp_path / "work")
    assert plain(project.python, project.start) == ("shop", "--port", "{port}")
    assert (project.framework, project.app, project.workdir) == ("fastapi", "shop.app:app", tmp_path / "work")
