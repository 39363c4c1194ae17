"""MySQL and MariaDB: databases of our own beside the user's, on the same server; the user's is only ever read.

A copy is made table by table on the server itself. What is not copied: routines and events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from perfcrew.core.errors import TargetFailed, ToolMissing, UsageError
from perfcrew.target.clones import urls

if TYPE_CHECKING:
    import pymysql

PREFIX = "perfcrew_"
_OURS = (PREFIX, f"test_{PREFIX}")
APPLICATION = "perfcrew"
READ_ONLY = "/* perfcrew: read-only */ "
"""Begins every statement that reads the user's own database."""
_TAG = "/* perfcrew */ "
_CONNECT_S = 10
_ANSWER_S = 600.0
"""A copy of one table is not waited for longer, nor is a server that says nothing."""
_REFUSED = (1044, 1142, 1143, 1227, 1370, 1419)
"""Codes of the server for what the user may not do."""
_STATEMENT_S, _LOCK_S = 5.0, 1.0
_TLS = {"ssl_ca": "ssl_ca", "ssl_cert": "ssl_cert", "ssl_key": "ssl_key"}
_DEFINER = re.compile(r"\sDEFINER\s*=\s*(?:`[^`]*`|[^\s@]+)@(?:`[^`]*`|\S+)")
_FILLED = """
SELECT COLUMN_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND EXTRA NOT REGEXP 'VIRTUAL|STORED GENERATED|PERSISTENT'
ORDER BY ORDINAL_POSITION
"""

Connection = Any
"""PyMySQL's, which is imported late."""


def driver() -> Any:
    """PyMySQL. Raises ToolMissing with what to install where it is not there."""
    try:
        import pymysql
    except ImportError:
        raise ToolMissing("PyMySQL is not installed", do="pip install 'perfcrew[mysql]'") from None
    return pymysql


def connect(url: str, database: str | None = None, *, answer_s: float = _ANSWER_S) -> pymysql.Connection[Any]:
    """A connection with autocommit. Raises TargetFailed, naming server and database but no password, without one."""
    mysql, parts = driver(), urlsplit(url)
    query = dict(parse_qsl(parts.query))
    named = database if database is not None else urls.database_name(url)
    options: dict[str, Any] = {new: query[old] for old, new in _TLS.items() if old in query}
    if "unix_socket" in query:
        options["unix_socket"] = query["unix_socket"]
    try:
        return mysql.connect(  # type: ignore[no-any-return]
            host=parts.hostname or "localhost",
            port=parts.port or 3306,
            user=unquote(parts.username or "") or None,
            password=unquote(parts.password or ""),
            database=named or None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=_CONNECT_S,
            read_timeout=answer_s,
            write_timeout=answer_s,
            program_name=APPLICATION,
            **options,
        )
    except mysql.err.MySQLError as error:
        raise TargetFailed(
            f"no connection to MySQL: {said(error)}",
            where=urls.without_password(url),
            do="start the server, or correct `target.database_url` in perfcrew.toml",
        ) from None


def plain(url: str) -> str:
    """The URL without a driver."""
    return "mysql://" + url.partition("://")[2]


def is_mariadb(db: Connection) -> bool:
    """Whether the server is MariaDB, which says some things in words of its own."""
    return "mariadb" in str(db.get_server_info()).lower()


def said(error: BaseException) -> str:
    """The server's words, without its number."""
    return str(error.args[1] if len(error.args) > 1 else error).strip().splitlines()[0]


def limited(db: Connection, statement_s: float = _STATEMENT_S, lock_s: float = _LOCK_S) -> None:
    """No statement takes longer from here on, nor waits longer for a lock; MySQL ends only what reads."""
    with db.cursor() as cursor:
        cursor.execute(f"{READ_ONLY}SET SESSION lock_wait_timeout = {max(1, int(lock_s))}")
        cursor.execute(f"{READ_ONLY}SET SESSION innodb_lock_wait_timeout = {max(1, int(lock_s))}")
        cursor.execute(f"{READ_ONLY}{_statement_limit(db, statement_s)}")


def _statement_limit(db: Connection, limit_s: float) -> str:
    if is_mariadb(db):
        return f"SET SESSION max_statement_time = {limit_s:g}"
    return f"SET SESSION max_execution_time = {int(limit_s * 1000)}"


@contextmanager
def reading(url: str) -> Iterator[Any]:
    """A cursor on the user's database in a read-only transaction with time-outs."""
    with closing(connect(url, answer_s=_STATEMENT_S * 4)) as db:
        limited(db)
        with db.cursor() as cursor:
            cursor.execute(f"{READ_ONLY}SET SESSION TRANSACTION READ ONLY")
            cursor.execute(f"{READ_ONLY}START TRANSACTION READ ONLY")
            try:
                yield cursor
            except driver().err.MySQLError as error:
                raise TargetFailed(
                    f"MySQL does not tell what is in the database: {said(error)}",
                    where=urls.without_password(url),
                    do="see that the user may read it, and what the server is busy with",
                ) from None


def exists(url: str) -> bool:
    """Whether the database is there and holds a table: asked read-only, with time-outs, under our name."""
    with closing(connect(url, "", answer_s=_STATEMENT_S * 4)) as db, db.cursor() as cursor:
        limited(db)
        asked = f"{READ_ONLY}SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
        if not cursor.execute(asked, [urls.database_name(url)]):
            return False
    with reading(url) as cursor:
        return bool(_of_kind(cursor, "BASE TABLE", READ_ONLY))


def create(url: str, name: str) -> None:
    """Make an empty database on that URL's server. Raises UsageError where the user may not."""
    with closing(connect(url, "")) as db:
        _create(db, name)


def _create(db: Connection, name: str) -> None:
    mysql = driver()
    try:
        with db.cursor() as cursor:
            cursor.execute(f"{_TAG}CREATE DATABASE {quoted(name)} CHARACTER SET utf8mb4")
    except mysql.err.MySQLError as error:
        if error.args and error.args[0] not in _REFUSED:
            raise TargetFailed(f"no clone of the database can be made: {said(error)}") from None
        user = db.user.decode() if isinstance(db.user, bytes) else db.user
        raise UsageError(
            f"the user {user} may not make a clone of the database: {said(error)}",
            where=f"{db.host}:{db.port}",
            do=f"GRANT ALL ON `{PREFIX}%`.* TO {user}: it is for databases of that name only",
        ) from None


def copy(url: str, name: str, workspace: object = None) -> None:
    """Make a database that holds what that URL's database holds, copied on the server.

    Rows are read as they stood committed, without locking them. Raises UsageError where the user may not.
    """
    original, mysql = urls.database_name(url), driver()
    with reading(url) as cursor:
        tables = [_made(cursor, "TABLE", t) for t in _of_kind(cursor, "BASE TABLE", READ_ONLY)]
        views = [_made(cursor, "VIEW", v) for v in _of_kind(cursor, "VIEW", READ_ONLY)]
        cursor.execute(f"{READ_ONLY}SHOW TRIGGERS")
        triggers = [_made(cursor, "TRIGGER", row[0]) for row in cursor.fetchall()]
        columns = {}
        for table, _ in tables:
            cursor.execute(READ_ONLY + _FILLED, [original, table])
            columns[table] = [row[0] for row in cursor.fetchall()]
    with closing(connect(url, "")) as db:
        _create(db, name)
        try:
            db.select_db(name)
            _fill(db, original, tables, columns)
            _then(db, [*views, *triggers])
        except mysql.err.MySQLError as error:
            drop(url, name)
            raise TargetFailed(
                f"the database can't be copied: {said(error)}",
                where=urls.without_password(url),
                do="see that the user may read its tables, and that the server has room for a copy",
            ) from None


def _made(cursor: Any, kind: str, name: str) -> tuple[str, str]:
    """Its name, and the statement that makes it: for whoever runs it."""
    cursor.execute(f"{READ_ONLY}SHOW CREATE {kind} {quoted(name)}")
    row = cursor.fetchone()
    return name, _DEFINER.sub("", row[2] if kind == "TRIGGER" else row[1], count=1)


def _fill(db: Connection, original: str, tables: Sequence[tuple[str, str]], columns: dict[str, list[str]]) -> None:
    with db.cursor() as cursor:
        with suppress(driver().err.MySQLError):
            cursor.execute(f"{_TAG}SET SESSION sql_log_bin = 0")  # no replica needs it; not everybody may say so
        cursor.execute(
            f"{_TAG}SET SESSION foreign_key_checks = 0, unique_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
        )
        cursor.execute(f"{_TAG}SET SESSION lock_wait_timeout = {int(_CONNECT_S)}")
        cursor.execute(f"{_TAG}SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        for _, statement in tables:
            cursor.execute(_TAG + statement)
        for table, _ in tables:
            listed = ", ".join(map(quoted, columns[table]))
            into, of = quoted(table), f"{quoted(original)}.{quoted(table)}"
            cursor.execute(f"{_TAG}INSERT INTO {into} ({listed}) SELECT {listed} FROM {of}")


def _then(db: Connection, made: Sequence[tuple[str, str]]) -> None:
    """Views may rest on views that come later: again until all stand, or none more can be made."""
    waiting = list(made)
    while waiting:
        failed: list[tuple[str, str]] = []
        error: Exception | None = None
        for one in waiting:
            try:
                with db.cursor() as cursor:
                    cursor.execute(_TAG + one[1])
            except driver().err.MySQLError as refused:
                failed.append(one)
                error = refused
        if error is not None and len(failed) == len(waiting):
            raise error
        waiting = failed


def drop(url: str, name: str) -> None:
    """Drop a database of our own. Refuses any other name."""
    if not name.startswith(_OURS):
        raise UsageError(f"{name} is not a database of ours", do=f"only those that begin with {PREFIX} are dropped")
    with closing(connect(url, "")) as db, db.cursor() as cursor:
        for pid, at in _sessions(cursor):
            if at == name:
                with suppress(driver().err.MySQLError):  # an instance that was just ended may be gone meanwhile
                    cursor.execute(f"{_TAG}KILL {int(pid)}")
        cursor.execute(f"{_TAG}DROP DATABASE IF EXISTS {quoted(name)}")


def _sessions(cursor: Any) -> list[tuple[int, str]]:
    cursor.execute(f"{_TAG}SELECT ID, DB FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()")
    return [(row[0], row[1]) for row in cursor.fetchall()]


def client_ports(url: str) -> list[int]:
    """Where those who are connected to that URL's database come from, as far as the user may see them."""
    asked = f"{READ_ONLY}SELECT HOST FROM information_schema.PROCESSLIST WHERE DB = %s AND ID <> CONNECTION_ID()"
    with closing(connect(url, "", answer_s=_STATEMENT_S * 4)) as db, db.cursor() as cursor:
        cursor.execute(asked, [urls.database_name(url)])
        ports = [str(row[0]).rpartition(":")[2] for row in cursor.fetchall()]
    return [int(port) for port in ports if port.isdigit()]


def tables(db: Connection) -> list[str]:
    """The tables of the connection's database."""
    with db.cursor() as cursor:
        return _of_kind(cursor, "BASE TABLE", _TAG)


def _of_kind(cursor: Any, kind: str, tag: str) -> list[str]:
    cursor.execute(
        f"{tag}SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = %s "
        "ORDER BY TABLE_NAME",
        [kind],
    )
    return [str(row[0]) for row in cursor.fetchall()]


def count(db: Connection) -> dict[str, int]:
    """Rows by table."""
    counts = {}
    for name in tables(db):
        with db.cursor() as cursor:
            cursor.execute(f"{_TAG}SELECT count(*) FROM {quoted(name)}")
            row = cursor.fetchone()
            counts[name] = int(row[0]) if row else 0
    return counts


def empty(db: Connection, keep: frozenset[str]) -> None:
    """Delete the rows of every table but these."""
    with db.cursor() as cursor:
        cursor.execute(f"{_TAG}SET SESSION foreign_key_checks = 0")
        for name in tables(db):
            if name not in keep:
                cursor.execute(f"{_TAG}TRUNCATE TABLE {quoted(name)}")


def quoted(name: str) -> str:
    """An identifier as SQL."""
    return "`" + name.replace("`", "``") + "`"


def try_drop(server: str, name: str, password: str = "") -> str:
    """What a sweep needs to drop a database that a dead run left; why not, where it can't."""
    try:
        drop(password or server, name)
    except (TargetFailed, UsageError, ToolMissing, driver().err.MySQLError) as error:
        return str(error).strip().splitlines()[0]
    return ""
