"""PostgreSQL: databases of our own beside the user's, on the same server; the user's is only ever read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from perfcrew.core.errors import TargetFailed, ToolFailed, UsageError
from perfcrew.target.clones import urls

PREFIX = "perfcrew_"
_OURS = (PREFIX, f"test_{PREFIX}")
"""Django's test runner makes `test_<name>` beside a database; beside a clone it is ours too."""
APPLICATION = "perfcrew"
READ_ONLY = "/* perfcrew: read-only */ "
"""Begins every statement that is sent to the user's own database."""
_CONNECT_S = 10
_DUMP_S = 600.0
_SCHEMAS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


class Session(NamedTuple):
    """Somebody who is connected to a database."""

    pid: int
    application: str
    client_port: int | None


def plain(url: str) -> str:
    """The URL as libpq takes it: without a driver, and without what only a driver knows."""
    parts = urlsplit(url)
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    query = [(("sslmode" if k == "ssl" else k), v) for k, v in parse_qsl(parts.query)]
    query = [(k, v) for k, v in query if k in known and not (k == "sslmode" and v.lower() in ("true", "false"))]
    return f"postgresql://{parts.netloc}{parts.path}" + (f"?{urlencode(query)}" if query else "")


def connect(url: str, *, autocommit: bool = False, name: str = "") -> psycopg.Connection[Any]:
    """A connection, under an application name of ours where one is given.

    Raises TargetFailed, naming server and database but no password, where there is none.
    """
    try:
        info = make_conninfo(plain(url), connect_timeout=_CONNECT_S, **({"application_name": name} if name else {}))
        return psycopg.connect(info, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise TargetFailed(
            f"no connection to PostgreSQL: {str(error).strip()}",
            where=urls.without_password(url),
            do="start the server, or correct `target.database_url` in perfcrew.toml",
        ) from error


def _server(url: str) -> psycopg.Connection[Any]:
    """A connection to the server for making and dropping databases, not to the user's database where it can be."""
    try:
        return connect(urls.with_database(url, "postgres"), autocommit=True, name=APPLICATION)
    except TargetFailed:
        return connect(urls.with_database(url, "template1"), autocommit=True, name=APPLICATION)


def exists(url: str) -> bool:
    """Whether the database is there and holds a table: asked read-only, with time-outs, under our name."""
    with _server(url) as db:
        asked = f"{READ_ONLY}SELECT 1 FROM pg_database WHERE datname = %s"
        if not db.execute(asked, [urls.database_name(url)]).fetchone():
            return False
    try:
        with connect(url, name=APPLICATION) as db:
            db.read_only = True
            limited(db)
            return bool(tables(db, READ_ONLY))
    except psycopg.errors.QueryCanceled as error:
        raise TargetFailed(
            f"PostgreSQL does not tell what is in the database: {str(error).strip()}",
            where=urls.without_password(url),
            do="see what it is busy with",
        ) from error


def limited(db: psycopg.Connection[Any], statement_s: float = 5.0, lock_s: float = 1.0) -> None:
    """Begin a transaction of which no statement takes longer, nor waits longer for a lock."""
    for name, limit_s in (("statement_timeout", statement_s), ("lock_timeout", lock_s)):
        db.execute(f"{READ_ONLY}SET LOCAL {name} = {int(limit_s * 1000)}")


def create(url: str, name: str) -> None:
    """Make an empty database on that URL's server. Raises UsageError where the role may not."""
    with _server(url) as db:
        _create(db, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def copy(url: str, name: str, workspace: Path) -> None:
    """Make a database that holds what that URL's database holds.

    By template, which needs the original to be without sessions; by pg_dump and pg_restore where it has some.
    Raises UsageError where neither can be.
    """
    original = urls.database_name(url)
    command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(original))
    with _server(url) as db:
        if original.startswith(PREFIX):
            _end_sessions(db, original)
        try:
            _create(db, command)
        except psycopg.errors.ObjectInUse:
            others = _sessions(db, original)
        else:
            return
    _dump(url, name, workspace, others)


def _create(db: psycopg.Connection[Any], command: sql.Composed) -> None:
    try:
        db.execute(command)
    except psycopg.errors.InsufficientPrivilege as error:
        user = db.info.user
        raise UsageError(
            f"the role {user} may not make a clone of the database: {str(error).strip()}",
            where=f"{db.info.host}:{db.info.port}",
            do=f"ALTER ROLE {user} CREATEDB (to clone another's database it must own it, or be a superuser)",
        ) from error


def _sessions(db: psycopg.Connection[Any], name: str) -> list[Session]:
    rows = db.execute("SELECT pid, application_name, client_port FROM pg_stat_activity WHERE datname = %s", [name])
    return [Session(*row) for row in rows]


def sessions(url: str) -> list[Session]:
    """Who is connected to that URL's database."""
    with _server(url) as db:
        return _sessions(db, urls.database_name(url))


def client_ports(url: str) -> list[int]:
    """Where those who are connected to that URL's database come from."""
    return [s.client_port for s in sessions(url) if s.client_port is not None]


def _dump(url: str, name: str, workspace: Path, others: list[Session]) -> None:
    with _server(url) as db:
        major = db.info.server_version // 10000
    folder = _programs(major)
    if folder is None:
        who = ", ".join(f"{s.application or 'unnamed'} (pid {s.pid})" for s in others)
        raise UsageError(
            f"the database {urls.database_name(url)} can't be cloned while others are connected: {who}",
            where=urls.without_password(url),
            do=f"end those sessions, or install PostgreSQL's client programs of version {major} or later (pg_dump)",
        )
    create(url, name)
    file = workspace / f"{name}.dump"
    try:
        _run([str(folder / "pg_dump"), "-Fc", "--no-owner", "--no-acl", "-f", str(file)], url)
        _run(
            [str(folder / "pg_restore"), "--no-owner", "--no-acl", "-d", name, str(file)], urls.with_database(url, name)
        )
    finally:
        file.unlink(missing_ok=True)


def _programs(major: int) -> Path | None:
    """The folder of a pg_dump and pg_restore that are new enough for this server."""
    on_path = shutil.which("pg_dump")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in [*([Path(on_path).parent] if on_path else []), *debian]:
        dump = folder / "pg_dump"
        if not (dump.exists() and (folder / "pg_restore").exists()):
            continue
        said = subprocess.run([str(dump), "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
        version = re.search(r"\) (\d+)", said)
        if version and int(version.group(1)) >= major:
            return folder
    return None


def _run(command: list[str], url: str) -> None:
    """Run a client program, connected through its environment: no password stands in a list of processes."""
    info = conninfo_to_dict(plain(url))
    variables = {o.keyword.decode(): o.envvar.decode() for o in Conninfo.get_defaults() if o.envvar}
    environment = {**os.environ, **{variables[k]: str(v) for k, v in info.items() if k in variables and v}}
    environment["PGDATABASE"] = urls.database_name(url)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_DUMP_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(f"{command[0]} took longer than {_DUMP_S:g} s", command=command) from error
    if done.returncode:
        raise ToolFailed(
            "the database can't be copied", command=command, exit=done.returncode, tail=done.stderr[-2000:]
        )


def drop(url: str, name: str) -> None:
    """Drop a database of our own, its sessions with it. Refuses any other name."""
    if not name.startswith(_OURS):
        raise UsageError(f"{name} is not a database of ours", do=f"only those that begin with {PREFIX} are dropped")
    with _server(url) as db:
        _end_sessions(db, name)
        db.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _end_sessions(db: psycopg.Connection[Any], name: str) -> None:
    """Of a database of our own: an instance that was just ended may still be leaving."""
    ask = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    until = time.monotonic() + 5
    while db.execute(ask, [name]).fetchall() and time.monotonic() < until:
        time.sleep(0.05)


def tables(db: psycopg.Connection[Any], tag: str = "") -> list[str]:
    """The tables that hold rows of their own, without partitions; those outside of `public` with their schema."""
    rows = db.execute(
        f"{tag}SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_SCHEMAS} "
        "AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2"
    )
    return [table if schema == "public" else f"{schema}.{table}" for schema, table in rows]


def count(db: psycopg.Connection[Any]) -> dict[str, int]:
    """Rows by table."""
    counts = {}
    for name in tables(db):
        row = db.execute(sql.SQL("SELECT count(*) FROM {}").format(identifier(name))).fetchone()
        counts[name] = int(row[0]) if row else 0
    return counts


def empty(db: psycopg.Connection[Any], keep: frozenset[str]) -> None:
    """Delete the rows of every table but these."""
    names = [identifier(name) for name in tables(db) if name.rpartition(".")[2] not in keep]
    if names:
        db.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))
    db.commit()


def identifier(name: str) -> sql.Identifier:
    """A table's name, with its schema where it has one, as SQL."""
    schema, dot, table = name.partition(".")
    return sql.Identifier(schema, table) if dot else sql.Identifier("public", name)


def dropper(known: Iterable[str]) -> Any:
    """What `Registry.sweep` needs to drop databases that a dead run left; passwords come from these URLs."""
    passwords = {urls.without_password(urls.with_database(url, "x")): url for url in known if "://" in url}

    def try_drop(server: str, name: str) -> str:
        url = passwords.get(urls.without_password(urls.with_database(server, "x")), server)
        try:
            drop(url, name)
        except (TargetFailed, UsageError, psycopg.Error) as error:
            return str(error).strip().splitlines()[0]
        return ""

    return try_drop
