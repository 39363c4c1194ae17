"""Routes of small but real applications, asked in a second process of a real interpreter."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from perfcrew.core.project import Project
from perfcrew.core.web import Endpoint
from perfcrew.target.client import Client
from perfcrew.target.routes import RoutesFound, openapi, routes

pytestmark = pytest.mark.target
NOBODY = "http://127.0.0.1:9"
Make = Callable[..., Project]


async def found(project: Project, timeout_s: float = 60.0, **environment: str) -> RoutesFound:
    async with Client(NOBODY, timeout_s=5) as client:
        return await routes(project, client, environment=environment, timeout_s=timeout_s)


def placed(result: RoutesFound) -> dict[str, str]:
    return {e.key: f"{e.handler.function}" if e.handler else "" for e in result.endpoints}


def of(result: RoutesFound, key: str) -> Endpoint:
    return next(e for e in result.endpoints if e.key == key)


async def test_fastapi_with_included_routers_mounts_and_sub_applications(project: Make) -> None:
    result = await found(project("fastapi", "fastapi_shop:app"))
    handlers = placed(result)
    assert handlers == {
        "GET /api/books": "list_books",
        "GET /api/books/{book_id}": "read_book",
        "GET /api/books/by-isbn/{isbn}": "read_by_isbn",
        "DELETE /api/books/{book_id}": "delete_book",
        "POST /api/books/basket": "basket",
        "GET /api/v1/authors": "list_authors",
        "GET /api/v1/authors/{author_id}/books": "list_books_of_author",
        "GET /api/v1/authors/{author_id}/books/{book_id}": "read_book_of_author",
        "GET /broken": "broken",
        "GET /codes/{code}": "code",
        "GET /countries/{country}": "country",
        "GET /dashboard": "dashboard",
        "GET /files/{file_path}": "read_file",
        "GET /gone/{thing_id}": "gone",
        "GET /hidden": "hidden",
        "GET /logout": "logout",
        "GET /newest": "newest",
        "GET /orders": "list_orders",
        "GET /orders/{order_id}": "read_order",
        "GET /pages": "pages",
        "GET /pages/{name}": "page",
        "GET /plain/status": "Status.get",
        "POST /plain/status": "Status.post",
        "GET /private": "private",
        "GET /rated/{stars}": "rated",
        "GET /search": "search",
        "GET /sub/tags": "list_tags",
        "GET /sub/tags/{tag}": "read_tag",
        "GET /ticker": "ticker",
    }
    assert result.notes == ()


async def test_fastapi_handlers_have_their_line_behind_decorators_and_say_whether_they_are_async(project: Make) -> None:
    result = await found(project("fastapi", "fastapi_shop:app"))
    handler = of(result, "GET /api/books/{book_id}").handler
    assert handler is not None
    assert handler.file == "fastapi_shop.py"
    lines = (Path(__file__).parents[1] / "requests/apps/fastapi_shop.py").read_text().splitlines()
    assert lines[handler.line - 1] == '@books.get("/{book_id}")'
    assert of(result, "GET /api/books/{book_id}").is_async is True
    assert of(result, "GET /api/books/by-isbn/{isbn}").is_async is False
    assert (of(result, "GET /hidden").source, of(result, "GET /sub/tags").source) == ("starlette", "openapi")


async def test_a_path_converter_is_known_although_openapi_does_not_say_it(project: Make) -> None:
    result = await found(project("fastapi", "fastapi_shop:app"))
    assert openapi.parameters(of(result, "GET /files/{file_path}").operation)[0]["x-converter"] == "path"


@pytest.mark.parametrize(
    ("app", "factory"),
    [("without_documents", False), ("create_app", True), ("create_app()", False), ("create_app('other')", False)],
)
async def test_fastapi_without_documents_and_by_factory(project: Make, app: str, factory: bool) -> None:
    result = await found(project("fastapi", f"fastapi_shop:{app}", factory=factory))
    assert placed(result)["GET /v1/authors/{author_id}/books/{book_id}"] == "read_book_of_author"
    limit = openapi.parameters(of(result, "GET /books").operation)[0]
    assert (limit["name"], limit["schema"]["maximum"]) == ("limit", 50)


async def test_starlette_with_flask_below_it(project: Make) -> None:
    result = await found(project("starlette", "starlette_site:app"))
    handlers = placed(result)
    assert handlers["GET /"] == "home"
    assert handlers["DELETE /items/{item_id}"] == "item"
    assert handlers["GET /shop/blog/{post_id}"] == "post"
    assert not [key for key in handlers if "/ws" in key or key.startswith(("HEAD", "OPTIONS"))]
    item = openapi.parameters(of(result, "GET /items/{item_id}").operation)[0]
    assert item["schema"] == {"type": "integer", "minimum": 0}


async def test_flask_with_blueprints_converters_and_class_based_views(project: Make) -> None:
    result = await found(project("flask", "flask_shop:app"))
    assert placed(result) == {
        "GET /account": "account",
        "GET /blog/": "index",
        "GET /blog/archive/{year}": "archive",
        "GET /blog/page/": "page",
        "GET /blog/page/{page}": "page",
        "GET /blog/{kind}/as": "kind",
        "GET /blog/{post_id}": "post",
        "GET /blog/{slug}/by-slug": "by_slug",
        "GET /blog/{token}/token": "token",
        "GET /files/{name}": "file",
        "GET /users": "Users.get",
        "POST /users": "Users.post",
    }
    schemas = {e.key: [p["schema"] for p in openapi.parameters(e.operation)] for e in result.endpoints}
    assert schemas["GET /blog/page/{page}"] == [{"type": "integer", "minimum": 2, "maximum": 9}]
    assert schemas["GET /blog/archive/{year}"] == [{"type": "string", "pattern": "^(?:[12][0-9]{3})$"}]
    assert schemas["GET /blog/{kind}/as"] == [{"type": "string", "enum": ["html", "text"]}]
    assert schemas["GET /blog/{token}/token"] == [{"type": "string", "format": "uuid"}]


async def test_a_flask_factory_with_an_argument(project: Make) -> None:
    assert placed(await found(project("flask", "flask_shop:build('x')"))) == {"GET /made": "index"}


async def test_quart(project: Make) -> None:
    result = await found(project("quart", "quart_site:app"))
    assert placed(result) == {"GET /hello/{name}": "hello", "GET /plain": "plain", "POST /plain": "plain"}
    assert [e.is_async for e in result.endpoints] == [True, False, False]


@pytest.mark.parametrize("how", ["by its settings", "by manage.py", "by the environment"])
async def test_django_with_includes_expressions_and_viewsets(project: Make, how: str) -> None:
    site = Path(__file__).parents[1] / "requests/apps/django_site"
    given = {
        "by its settings": {"settings_module": "site_of_books.settings"},
        "by manage.py": {"manage_py": site / "manage.py"},
    }
    environment = {"DJANGO_SETTINGS_MODULE": "site_of_books.settings"} if how == "by the environment" else {}
    result = await found(project("django", root=site, **given.get(how, {})), **environment)
    prefix = "/library/{branch}"
    own = {key: name for key, name in placed(result).items() if prefix in key}
    assert own == {
        f"GET {prefix}/": "index",
        f"GET {prefix}/api/": "APIRootView",
        f"GET {prefix}/api/hello/": "hello",
        f"POST {prefix}/api/hello/": "hello",
        f"GET {prefix}/api/members/": "MemberViewSet.list",
        f"GET {prefix}/api/members/{{pk}}/": "MemberViewSet.retrieve",
        f"DELETE {prefix}/api/members/{{pk}}/": "MemberViewSet.destroy",
        f"GET {prefix}/api/members/{{pk}}/loans/": "MemberViewSet.loans",
        f"GET {prefix}/archive/{{year}}/": "archive",
        f"GET {prefix}/books/{{pk}}/": "Book.get",
        f"POST {prefix}/books/{{pk}}/": "Book.post",
        f"GET {prefix}/books/{{pk}}/delete/": "delete_book",
        f"GET {prefix}/copies/{{copy}}/": "copy",
        f"GET {prefix}/list/": "BookList",
        f"POST {prefix}/poll/": "poll",
        f"PUT {prefix}/poll/": "poll",
        f"GET {prefix}/shelf/{{_0}}/": "shelf",
    }
    assert of(result, f"GET {prefix}/books/{{pk}}/").is_async is True
    year = openapi.parameters(of(result, f"GET {prefix}/archive/{{year}}/").operation)[1]
    assert year["schema"] == {"type": "string", "pattern": "^(?:[0-9]{4})$"}


async def test_the_admin_is_marked_and_served_files_are_left_out(project: Make) -> None:
    site = Path(__file__).parents[1] / "requests/apps/django_site"
    result = await found(project("django", root=site, settings_module="site_of_books.settings"))
    assert {e.path.split("/")[1] for e in result.endpoints} == {"admin", "library", "{_0}"}
    assert {e.path.split("/")[1] for e in result.endpoints if e.operation.get("x-admin")} == {"admin"}
    assert "GET /admin/jsi18n/" not in placed(result)


FAILS = {
    "an import error": ("import nothing_of_this_name\napp = 1\n", "No module named 'nothing_of_this_name'"),
    "an exit": ("import sys\nsys.exit('no config')\n", "SystemExit: no config"),
    "a hard exit": (
        "import os, sys\nprint('fatal: no licence', file=sys.stderr)\nos._exit(7)\n",
        "exit 7: fatal: no licence",
    ),
    "no such attribute": ("x = 1\n", "has no attribute 'app'"),
    "an application that we don't know": ("app = object()\n", "object at / has no list of routes"),
}


@pytest.mark.parametrize("name", FAILS)
async def test_an_application_that_cannot_be_imported_is_a_note(project: Make, tmp_path: Path, name: str) -> None:
    text, expected = FAILS[name]
    (tmp_path / "broken_app.py").write_text(text)
    result = await found(project("fastapi", "broken_app:app", root=tmp_path))
    assert result.endpoints == ()
    assert expected in " ".join(result.notes)


async def test_an_import_that_hangs_is_ended_with_all_that_it_started(project: Make, tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '987'])\n"
        "open('child.pid', 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    result = await found(project("flask", "hanging:app", root=tmp_path), timeout_s=3)
    assert "longer than 3 s" in result.notes[0]
    pid = int((tmp_path / "child.pid").read_text())
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    pytest.fail("the child outlived the question")


async def test_no_application_and_no_interpreter_are_notes(project: Make) -> None:
    assert "names no application object" in (await found(project("fastapi"))).notes[0]
    assert "does not run" in (await found(project("fastapi", "x:app", python=Path("/nonexistent/python")))).notes[0]


async def test_threads_and_exit_handlers_of_the_target_do_not_keep_us_and_its_output_does_not_mix(
    project: Make, tmp_path: Path
) -> None:
    (tmp_path / "noisy.py").write_text(
        "import atexit, threading, time, flask\n"
        "print('x' * 3_000_000)\n"
        "threading.Thread(target=time.sleep, args=(300,)).start()\n"
        "atexit.register(time.sleep, 300)\n"
        "app = flask.Flask('x')\n"
        "app.add_url_rule('/a', view_func=lambda: 'a')\n"
    )
    result = await found(project("flask", "noisy:app", root=tmp_path), timeout_s=30)
    assert [e.key for e in result.endpoints] == ["GET /a"]


async def test_the_given_environment_wins_and_no_module_of_the_target_is_hidden(project: Make, tmp_path: Path) -> None:
    for name in ("ask", "places", "asgi", "inside", "openapi"):
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    (tmp_path / "site_app.py").write_text(
        "import os, flask, ask, places, asgi, inside, openapi\n"
        "assert ask.MINE and places.MINE and asgi.MINE and inside.MINE and openapi.MINE\n"
        "app = flask.Flask('x')\n"
        "app.add_url_rule('/' + os.environ['DATABASE'], view_func=lambda: 'a')\n"
    )
    target = project("flask", "site_app:app", root=tmp_path, environment={"DATABASE": "users-own"})
    result = await found(target, DATABASE="clone")
    assert [e.key for e in result.endpoints] == ["GET /clone"]
    assert not list(tmp_path.rglob("*.pyc"))


async def test_the_start_command_says_where_to_import_from(project: Make, tmp_path: Path) -> None:
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "down" / "mod.py").write_text("import flask\napp = flask.Flask('x')\n")
    start = ("uvicorn", "--app-dir", "deep/down", "mod:app")
    assert "no endpoint was found" in (await found(project("flask", "mod:app", root=tmp_path, start=start))).notes[0]
    assert os.environ.get("PYTHONPATH") is None or "deep" not in os.environ["PYTHONPATH"]
