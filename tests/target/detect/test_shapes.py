"""Project skeletons, each with what must be found of it."""

# ruff: noqa: E501 - the skeletons' lines are kept whole, so that they can be read

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from perfcrew.core.project import Project
from perfcrew.target.detect import detect
from perfcrew.target.detect.interpreter import plain

from .skeletons import FASTAPI, FLASK, django, lay

UVICORN = "--host {host} --port {port}"
GUNICORN = "--bind {host}:{port} --workers 1"


@dataclass(frozen=True)
class Shape:
    """A skeleton and what is expected; a key that is None is not looked at."""

    name: str
    files: Mapping[str, str]
    start: str
    framework: str = "fastapi"
    app: str | None = None
    workdir: str = "."
    programs: tuple[str, ...] = ("uvicorn", "gunicorn", "flask", "alembic", "hypercorn", "fastapi")
    environment: Mapping[str, str] = field(default_factory=dict)
    migrate: str | None = None
    prepare: tuple[str, ...] | None = None
    wanted: str | None = None
    health: str | None = None
    database: str | None = None


SHAPES = [
    Shape("a module at the top", {"main.py": FASTAPI}, f"uvicorn main:app {UVICORN}", app="main:app"),
    Shape(
        "a package under src",
        {"pyproject.toml": "[project]\nname='shop'\n", "src/shop/__init__.py": "", "src/shop/main.py": FASTAPI},
        f"uvicorn shop.main:app {UVICORN}",
        app="shop.main:app",
        environment={"PYTHONPATH": "{root}/src"},
    ),
    Shape(
        "a package without __init__ that imports itself by name",
        {"app/main.py": "from app.db import x\n" + FASTAPI, "app/db.py": "x = 1\n"},
        f"uvicorn app.main:app {UVICORN}",
        app="app.main:app",
    ),
    Shape(
        "a factory without arguments",
        {
            "shop/__init__.py": "from fastapi import FastAPI\ndef create_app(settings=None) -> FastAPI:\n    app = FastAPI()\n    return app\n"
        },
        f"uvicorn shop:create_app --factory {UVICORN}",
        app="shop:create_app()",
    ),
    Shape(
        "a factory that needs an argument, called elsewhere",
        {
            "shop/__init__.py": "from flask import Flask\ndef create_app(config):\n    app = Flask(__name__)\n    return app\n",
            "wsgi.py": "import os\nfrom shop import create_app\napp = create_app(os.environ.get('SHOP_CONFIG', 'dev'))\n",
        },
        f"gunicorn wsgi:app {GUNICORN} --threads 8",
        framework="flask",
        app="wsgi:app",
    ),
    Shape(
        "a factory whose arguments are literals in a script",
        {
            "shop/__init__.py": "from flask import Flask\ndef create_app(config):\n    return Flask(__name__)\n",
            "seed.py": "from shop import create_app\nif __name__ == '__main__':\n    app = create_app('dev')\n",
        },
        f"gunicorn shop:create_app('dev') {GUNICORN} --threads 8",
        framework="flask",
        app="shop:create_app('dev')",
    ),
    Shape(
        "several objects in one file: the one that the others are mounted on",
        {
            "main.py": "from fastapi import FastAPI\nadmin = FastAPI()\npublic = FastAPI()\napp = FastAPI()\n"
            "app.mount('/admin', admin)\napp.mount('/public', public)\n"
        },
        f"uvicorn main:app {UVICORN}",
        app="main:app",
    ),
    Shape(
        "a subclass of the framework's application",
        {"shop.py": "from flask import Flask\nclass Shop(Flask):\n    pass\napp = Shop(__name__)\n"},
        f"gunicorn shop:app {GUNICORN} --threads 8",
        framework="flask",
        app="shop:app",
    ),
    Shape(
        "an application wrapped in a middleware",
        {"main.py": "from starlette.applications import Starlette\nfrom m import M\napp = M(Starlette())\n"},
        f"uvicorn main:app {UVICORN}",
        framework="starlette",
        app="main:app",
    ),
    Shape(
        "Flask without gunicorn",
        {"app.py": FLASK},
        f"flask --app app:app run {UVICORN}",
        framework="flask",
        programs=("flask",),
    ),
    Shape(
        "Dockerfile: JSON CMD with reload and workers",
        {
            "Dockerfile": 'FROM python\nWORKDIR /code\nCOPY . .\nCMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", '
            '"--port", "80", "--reload", "--workers", "4"]\n',
            "app/__init__.py": "",
            "app/main.py": FASTAPI,
        },
        f"uvicorn app.main:app {UVICORN}",
        app="app.main:app",
    ),
    Shape(
        "Dockerfile: shell wrapper that migrates first",
        {
            "Dockerfile": 'FROM python\nCMD ["sh", "-c", "alembic upgrade head && exec uvicorn main:app --port ${PORT:-8000}"]\n',
            "main.py": FASTAPI,
            "alembic.ini": "[alembic]\n",
        },
        f"uvicorn main:app {UVICORN}",
        migrate="alembic upgrade head",
        prepare=(),
    ),
    Shape(
        "Dockerfile: stages, continued lines, an entry point script that ends with exec",
        {
            "Dockerfile": "FROM python AS base\nENV SHOP_ENV=prod\nFROM node AS assets\nCMD npm start\nFROM base AS final\n"
            'ENTRYPOINT ["/app/docker/entrypoint.sh"]\nCMD ["gunicorn", "shop.main:app", \\\n  "-k", '
            '"uvicorn.workers.UvicornWorker", \\\n  "-b", "0.0.0.0:80", "-w", "9"]\n',
            "docker/entrypoint.sh": '#!/bin/sh\nset -e\nwait-for-it db:5432\nif [ "$X" ]; then\n  echo x\nfi\n'
            'python -m shop.initial\nexec "$@"\n',
            "shop/__init__.py": "",
            "shop/initial.py": "print(1)\n",
            "shop/main.py": FASTAPI,
        },
        f"gunicorn shop.main:app -k uvicorn.workers.UvicornWorker {GUNICORN}",
        app="shop.main:app",
        prepare=("python -m shop.initial",),
    ),
    Shape(
        "Dockerfile: the server is not installed, another is",
        {"Dockerfile": "FROM python\nCMD gunicorn -k uvicorn.workers.UvicornWorker main:app\n", "main.py": FASTAPI},
        f"uvicorn main:app {UVICORN}",
        programs=("uvicorn",),
    ),
    Shape(
        "Dockerfile that copies backend into the container",
        {
            "Dockerfile": "FROM python\nWORKDIR /app\nCOPY backend /app\nCMD uvicorn main:app --host 0.0.0.0\n",
            "backend/main.py": FASTAPI,
        },
        f"uvicorn main:app {UVICORN}",
        workdir="backend",
    ),
    Shape(
        "Dockerfile in a folder of its own, and one for the front end",
        {
            "backend/Dockerfile": "FROM python\nCMD fastapi run app/main.py --port 80\n",
            "backend/app/__init__.py": "",
            "backend/app/main.py": FASTAPI,
            "frontend/Dockerfile": "FROM node\nCMD npm run dev\n",
        },
        f"fastapi run app/main.py {UVICORN}",
        workdir="backend",
        app="app.main:app",
    ),
    Shape(
        "Procfile with a release",
        {
            "Procfile": "release: python manage.py migrate\nweb: gunicorn shop.wsgi --log-file -\nworker: celery -A shop\n",
            **django(),
        },
        f"gunicorn shop.wsgi --log-file - {GUNICORN}",
        framework="django",
        app="shop.wsgi:application",
        migrate="python manage.py migrate",
        prepare=(),
    ),
    Shape(
        "Procfile with the variable PORT and an app-dir",
        {
            "Procfile": "web: uvicorn --app-dir src shop.main:app --port $PORT\n",
            "src/shop/__init__.py": "",
            "src/shop/main.py": FASTAPI,
            "pyproject.toml": "",
        },
        f"uvicorn --app-dir src shop.main:app {UVICORN}",
    ),
    Shape(
        "compose: the web service among others",
        {
            "docker-compose.yml": """
                services:
                  db: {image: postgres, command: postgres -c fsync=off}
                  worker: {build: ., command: celery -A app.worker worker}
                  web:
                    build: ./backend
                    command: bash -c "python -m app.prestart && uvicorn app.main:app --host 0.0.0.0 --port 8000 --reload"
            """,
            "backend/app/__init__.py": "",
            "backend/app/main.py": FASTAPI,
            "backend/app/prestart.py": "print('ready')\n",
        },
        f"uvicorn app.main:app {UVICORN}",
        workdir="backend",
        prepare=("python -m app.prestart",),
    ),
    Shape(
        "a console script with a --port of its own",
        {
            "pyproject.toml": "[project]\nname='shop'\n[project.scripts]\nshop-server = 'shop.cli:main'\nshop-tool = 'shop.tool:main'\n",
            "shop/__init__.py": "",
            "shop/tool.py": "def main():\n    print('tool')\n",
            "shop/app.py": FASTAPI,
            "shop/cli.py": "import argparse, uvicorn\nfrom shop.app import app\ndef main():\n    p = argparse.ArgumentParser()\n"
            "    p.add_argument('--host')\n    p.add_argument('--port', type=int)\n    a = p.parse_args()\n"
            "    uvicorn.run(app, host=a.host, port=a.port)\n",
        },
        f"shop-server {UVICORN}",
        app="shop.app:app",
        programs=("uvicorn", "shop-server", "shop-tool"),
        environment={"PYTHONPATH": "{root}"},
    ),
    Shape(
        "a console script with subcommands, told its port by a variable",
        {
            "pyproject.toml": "[project]\nname='shop'\n[project.scripts]\nshop = 'shop.cli:main'\n",
            "shop/__init__.py": "",
            "shop/app.py": FASTAPI,
            "shop/cli.py": "import click, os, uvicorn\nfrom shop.app import app\n@click.group()\ndef main(): ...\n"
            "@main.command()\ndef migrate(): ...\n@main.command('serve')\ndef run_server():\n"
            "    uvicorn.run(app, port=int(os.environ.get('SHOP_PORT', 1)))\nDB = os.getenv('DB_PORT')\n",
        },
        "shop serve",
        app="shop.app:app",
        programs=("uvicorn", "shop"),
        environment={"SHOP_PORT": "{port}"},
    ),
    Shape(
        "a console script whose --port stands before the subcommand",
        {
            "pyproject.toml": "[project]\nname='shop'\n[project.scripts]\nshop = 'shop.cli:main'\n",
            "shop/__init__.py": "",
            "shop/app.py": FASTAPI,
            "shop/cli.py": "import argparse, uvicorn\nfrom shop.app import app\ndef main():\n    top = argparse.ArgumentParser()\n"
            "    top.add_argument('--port')\n    subs = top.add_subparsers()\n    subs.add_parser('serve')\n"
            "    uvicorn.run(app, port=int(top.parse_args().port))\n",
        },
        "shop --port {port} serve",
        programs=("uvicorn", "shop"),
    ),
    Shape(
        "a console script of setup.py that is a group of Flask's commands",
        {
            "setup.py": "from setuptools import setup\nsetup(entry_points='''\n    [console_scripts]\n    forum=forum.cli:forum\n''')\n",
            "forum/__init__.py": "from flask import Flask\ndef create_app(config=None):\n    app = Flask('x')\n    return app\n",
            "forum/cli.py": "import click\nfrom flask.cli import FlaskGroup\nfrom forum import create_app\n"
            "@click.group(cls=FlaskGroup, create_app=create_app)\ndef forum(): ...\n",
        },
        f"forum run {UVICORN}",
        framework="flask",
        app="forum:create_app()",
        programs=("forum", "flask"),
    ),
    Shape(
        "python -m package with a settings class that reads PORT",
        {
            "Dockerfile": "FROM python\nCMD python -m shop\n",
            "shop/__init__.py": "",
            "shop/__main__.py": "import uvicorn\nfrom shop.app import app\nfrom shop.conf import settings\nuvicorn.run(app, port=settings.port)\n",
            "shop/app.py": FASTAPI,
            "shop/conf.py": "from pydantic_settings import BaseSettings, SettingsConfigDict\nclass Settings(BaseSettings):\n"
            "    model_config = SettingsConfigDict(env_prefix='SHOP_')\n    port: int = 8000\n    db_port: int = 5432\nsettings = Settings()\n",
        },
        "python -m shop",
        app="shop.app:app",
        environment={"SHOP_PORT": "{port}"},
    ),
    Shape(
        "a script whose port is written in it",
        {
            "Dockerfile": "FROM python\nCMD python run.py\n",
            "run.py": "import uvicorn\nuvicorn.run('shop.web:api', port=8000)\n",
            "shop/__init__.py": "",
            "shop/web.py": "from fastapi import FastAPI\napi = FastAPI()\n",
        },
        f"uvicorn shop.web:api {UVICORN}",
        app="shop.web:api",
    ),
    Shape(
        "a Flask script in debug mode",
        {
            "README.md": "Run:\n```sh\n$ python app.py\n```\n",
            "app.py": FLASK + "if __name__ == '__main__':\n    app.run(debug=True, port=5000)\n",
        },
        f"gunicorn app:app {GUNICORN} --threads 8",
        framework="flask",
    ),
    Shape(
        "Django at the top",
        django(),
        "python manage.py runserver {host}:{port} --noreload",
        framework="django",
        app="shop.wsgi:application",
    ),
    Shape(
        "Django under src",
        django("src/"),
        "python manage.py runserver {host}:{port} --noreload",
        framework="django",
        workdir="src",
    ),
    Shape(
        "Django under backend",
        django("backend/"),
        "python manage.py runserver {host}:{port} --noreload",
        framework="django",
        workdir="backend",
    ),
    Shape(
        "Django with settings in a package, and gunicorn missing",
        {
            **django(settings="shop.settings.dev"),
            "Dockerfile": "FROM python\nCMD set -xe; python manage.py migrate --noinput; gunicorn shop.wsgi:application\n",
        },
        "python manage.py runserver {host}:{port} --noreload",
        framework="django",
        programs=(),
        environment={"DJANGO_SETTINGS_MODULE": "shop.settings.dev"},
        migrate="python manage.py migrate --noinput",
    ),
    Shape(
        "README: a development command",
        {
            "README.md": "# Shop\n\n```bash\npip install -r requirements.txt\nuvicorn shop.api:service --reload\n```\n",
            "shop/__init__.py": "",
            "shop/api.py": "from fastapi import FastAPI\nservice = FastAPI()\nother = FastAPI()\n",
        },
        f"uvicorn shop.api:service {UVICORN}",
        app="shop.api:service",
    ),
    Shape(
        "README: a command for a module that isn't there, and the application is found",
        {"README.md": "```\nuvicorn example:app\n```\n", "main.py": FASTAPI},
        f"uvicorn main:app {UVICORN}",
    ),
    Shape(
        "applications in tests, examples and documentation are none",
        {
            "main.py": FASTAPI,
            "tests/app.py": FASTAPI,
            "examples/app.py": FASTAPI,
            "docs/app.py": FASTAPI,
            "test_app.py": FASTAPI,
        },
        f"uvicorn main:app {UVICORN}",
        app="main:app",
    ),
    Shape(
        "monorepo: chosen by folder",
        {"services/a/main.py": FASTAPI, "services/b/main.py": FASTAPI},
        f"uvicorn main:app {UVICORN}",
        workdir="services/b",
        wanted="services/b",
    ),
    Shape(
        "monorepo: one of several applications is clearly it",
        {"backend/main.py": FASTAPI, "billing/main.py": FASTAPI},
        f"uvicorn main:app {UVICORN}",
        workdir="backend",
    ),
    Shape(
        "monorepo: chosen by module and attribute",
        {"services/a/alpha.py": FASTAPI, "services/b/beta.py": FASTAPI},
        f"uvicorn beta:app {UVICORN}",
        workdir="services/b",
        wanted="beta:app",
    ),
    Shape(
        "Quart by hypercorn from its Dockerfile",
        {
            "Dockerfile": "FROM python\nCMD hypercorn -b 0.0.0.0:8080 -w 3 shop:app\n",
            "shop.py": "from quart import Quart\napp = Quart(__name__)\n",
        },
        f"hypercorn shop:app {GUNICORN}",
        framework="quart",
    ),
    Shape(
        "wrappers around the command",
        {
            "Dockerfile": 'FROM python\nENTRYPOINT ["tini", "--"]\nCMD uv run --no-dev opentelemetry-instrument uvicorn main:app --port=80\n',
            "main.py": FASTAPI,
        },
        f"uvicorn main:app {UVICORN}",
    ),
    Shape(
        "a backend folder built by compose, a service that prepares, and the .env above",
        {
            ".env": "POSTGRES_SERVER=localhost\nPOSTGRES_DB=app\nPOSTGRES_USER=me\nPOSTGRES_PASSWORD=p@ss\n",
            "docker-compose.yml": """
                services:
                  db: {image: postgres, command: [postgres]}
                  prestart: {build: {context: ./backend}, command: bash scripts/prestart.sh}
                  backend:
                    build: {context: ./backend}
                    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost:8000/api/v1/utils/health-check/"]}
            """,
            "backend/Dockerfile": 'FROM python\nWORKDIR /app/\nENV PYTHONPATH=/app\nCMD ["fastapi", "run", "--workers", "4", "app/main.py"]\n',
            "backend/alembic.ini": "",
            "backend/scripts/prestart.sh": "#! /usr/bin/env bash\nset -e\npython app/wait.py\nalembic upgrade head\npython app/initial_data.py\n",
            "backend/app/__init__.py": "",
            "backend/app/wait.py": "",
            "backend/app/initial_data.py": "",
            "backend/app/main.py": FASTAPI,
        },
        f"fastapi run app/main.py {UVICORN}",
        app="app.main:app",
        workdir="backend",
        environment={"PYTHONPATH": "{root}/backend", "POSTGRES_DB": "app"},
        migrate="alembic upgrade head",
        prepare=("python app/wait.py", "python app/initial_data.py"),
        health="/api/v1/utils/health-check/",
        database="postgresql://me:p%40ss@localhost:5432/app",
    ),
    Shape(
        "a factory behind --factory, with container paths",
        {
            "Dockerfile": "FROM python\nCMD uvicorn --app-dir /srv/src --factory shop:make_app --log-config /etc/log.json\n",
            "src/shop.py": "from fastapi import FastAPI\ndef make_app():\n    return FastAPI()\n",
            "setup.cfg": "",
        },
        f"uvicorn --factory shop:make_app {UVICORN}",
        app="shop:make_app()",
        environment={"PYTHONPATH": "{root}/src"},
    ),
    Shape(
        "flask run with FLASK_APP in .flaskenv",
        {
            ".flaskenv": "FLASK_APP=shop.web\nFLASK_DEBUG=1\n",
            "Procfile": "web: flask run -h 0.0.0.0 -p $PORT --debug\n",
            "shop/__init__.py": "",
            "shop/web.py": FLASK,
        },
        f"flask run {UVICORN}",
        framework="flask",
        app="shop.web:app",
    ),
]


@pytest.fixture(autouse=True)
def _no_environment_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_shape(shape: Shape, tmp_path: Path) -> None:
    root = lay(tmp_path / "project", shape.files, shape.programs)
    if shape.framework == "quart":
        pytest.importorskip("quart", reason="what can't be imported can't be started")
    found = detect(root, app=shape.wanted)
    assert _words(found, found.start) == shape.start
    assert found.framework == shape.framework
    assert found.workdir == (root / shape.workdir if shape.workdir != "." else root)
    assert shape.app in (None, found.app)
    for name, value in shape.environment.items():
        assert found.environment[name] == value.replace("{root}", str(root))
    assert shape.migrate is None or _words(found, found.migrate) == shape.migrate
    assert shape.prepare is None or tuple(_words(found, words) for words in found.prepare) == shape.prepare
    assert shape.health in (None, found.health)
    assert shape.database in (None, found.database_url)
    assert {d.key for d in found.detected} >= {"framework", "python", "start", "workdir"}


def _words(project: Project, words: tuple[str, ...]) -> str:
    return " ".join(plain(project.python, words))
