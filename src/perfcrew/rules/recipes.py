"""What to do, in Markdown with the code that would be written, in the words of the target's own library."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from perfcrew.core.indexes import IndexSpec, is_expression, name_in
from perfcrew.core.trace import Frame, Span
from perfcrew.core.web import Place
from perfcrew.rules import source

Flavour = Literal["sqlalchemy", "django", "sql"]


def flavour(root: Path, place: Place, stack: tuple[Frame, ...] = ()) -> Flavour:
    """The library that the statement was written with, told from the place's imports, then from the stack."""
    code = source.read(root / place.file)
    texts = [code.text if code else "", *(f.file for f in stack)]
    for text in texts:
        if "sqlalchemy" in text or "sqlmodel" in text:
            return "sqlalchemy"
        if "django" in text or ".objects." in text:
            return "django"
    return "sql"


def python(text: str) -> str:
    """A block of Python."""
    return f"```python\n{text.strip()}\n```"


def sql(text: str) -> str:
    """A block of SQL."""
    return f"```sql\n{text.strip()}\n```"


FETCH_THE_SET: dict[Flavour, str] = {
    "sqlalchemy": "Load the relation with the rows, in one further statement for the whole page:\n\n"
    + python(
        """
from sqlalchemy.orm import selectinload

statement = select(Parent).options(selectinload(Parent.children)).limit(limit)
"""
    )
    + "\n\nWhere it is no relation, ask for the whole set once and look up in it:\n\n"
    + python(
        """
found = await session.scalars(select(Child).where(Child.parent_id.in_([parent.id for parent in parents])))
by_parent: dict[int, list[Child]] = {}
for child in found:
    by_parent.setdefault(child.parent_id, []).append(child)
"""
    ),
    "django": "Load the relation with the rows:\n\n"
    + python(
        """
parents = Parent.objects.select_related("owner").prefetch_related("children")[:limit]
"""
    )
    + "\n\nA filter, `.count()` or `.first()` on a prefetched relation asks again: use `Prefetch(…, queryset=…)` or "
    "`annotate`.",
    "sql": "Ask for the whole set in one statement, and look up in it:\n\n"
    + sql("SELECT … FROM child WHERE parent_id IN (:ids)  -- or = ANY(:ids) on PostgreSQL"),
}

FETCH_ELSEWHERE = {
    "mongodb": python("found = {d['_id']: d for d in collection.find({'_id': {'$in': keys}})}")
    + "\n\nWhat belongs to another collection comes with `$lookup` in one aggregation.",
    "neo4j": "Hand all keys to one query:\n\n"
    + python("session.run('UNWIND $keys AS key MATCH (b:Book {id: key})-[:BY]->(a) RETURN key, a', keys=keys)"),
    "elasticsearch": python("found = client.mget(index='books', ids=keys)      # searches: client.msearch(searches=…)"),
}
WRITE_ELSEWHERE = {
    "mongodb": python("collection.insert_many(rows)      # mixed: collection.bulk_write([UpdateOne(…), …])"),
    "neo4j": python("session.run('UNWIND $rows AS row CREATE (b:Book) SET b = row', rows=rows)"),
    "elasticsearch": python("helpers.bulk(client, ({'_index': 'books', '_source': row} for row in rows))"),
}
SLOW_ELSEWHERE = {
    "mongodb": "Look at `.explain('executionStats')`: `totalDocsExamined` far above `nReturned` wants an index.",
    "neo4j": "Look at `PROFILE <query>`: `NodeByLabelScan` and many db hits want an index on the property.",
    "elasticsearch": 'Look at the Profile API (`"profile": true`): filters in `filter` context, fewer fields in '
    "`_source`, `search_after` rather than deep `from`.",
}
_LIKE = {"opensearch": "elasticsearch", "memgraph": "neo4j"}


def fetch_the_set(kind: Flavour, span: Span) -> str:
    """For a set of rows in one request, in the words of its engine."""
    return FETCH_ELSEWHERE.get(engine(span)) or FETCH_THE_SET[kind]


def write_the_set(kind: Flavour, span: Span) -> str:
    """As `fetch_the_set`, for writes."""
    text = WRITE_ELSEWHERE.get(engine(span)) or WRITE_THE_SET[kind]
    gives = re.search(r"\bRETURNING\b", str(span.attributes.get("db.query.text") or ""), re.IGNORECASE)
    return f"{text}\n\n{RETURNED[kind]}" if gives and engine(span) not in WRITE_ELSEWHERE else text


def engine(span: Span) -> str:
    """The engine's name, "" where the span has none; those that speak alike by one name."""
    name = str(span.attributes.get("db.system.name") or "")
    return _LIKE.get(name, name)


WRITE_THE_SET: dict[Flavour, str] = {
    "sqlalchemy": python("await session.execute(insert(Child), [{'parent_id': p, 'name': n} for p, n in rows])"),
    "django": python(
        "Child.objects.bulk_create(children, batch_size=1000)\nChild.objects.bulk_update(children, ['name'])"
    ),
    "sql": python("cursor.executemany('INSERT INTO child (parent_id, name) VALUES (%s, %s)', rows)")
    + "\n\npsycopg2's `executemany` still sends a statement a row: use `psycopg2.extras.execute_values` there.",
}

RETURNED: dict[Flavour, str] = {
    "sqlalchemy": "Where what the database gave a row is needed afterwards, all rows give it back in their order:\n\n"
    + python(
        """
made = await session.scalars(insert(Child).returning(Child.id, sort_by_parameter_order=True), rows)
"""
    ),
    "django": "`bulk_create` sets the keys of its objects on PostgreSQL, MariaDB and SQLite.",
    "sql": "Where what the database gave a row is needed afterwards, one statement gives it back for all; the order "
    "of what is returned is not promised, so return what tells the rows apart too:\n\n"
    + sql("INSERT INTO child (name) SELECT unnest(%(names)s) RETURNING id, name")
    + "\n\nA loop whose row needs the key of the one before stays a loop.",
}

TOGETHER: dict[Flavour, str] = {
    "sqlalchemy": "Single values come in one statement:\n\n"
    + python(
        """
books, authors = session.execute(
    select(
        select(func.count(Book.id)).scalar_subquery(),
        select(func.count(Author.id)).scalar_subquery(),
    )
).one()
"""
    )
    + "\n\nSets of rows in async code wait together, each on a session of its own; one `AsyncSession` is never "
    "shared by tasks:\n\n"
    + python(
        """
async def ask(statement):
    async with sessions() as session:
        return (await session.scalars(statement)).all()

books, authors = await asyncio.gather(ask(select(Book)), ask(select(Author)))
"""
    ),
    "django": "Single values come in one statement, each by a subquery of its own; a join of both tables would read "
    "the rows of one for each row of the other:\n\n"
    + python(
        """
with connection.cursor() as cursor:
    cursor.execute("SELECT (SELECT count(*) FROM shop_book), (SELECT count(*) FROM shop_author)")
    books, authors = cursor.fetchone()
"""
    )
    + "\n\nOr as subqueries of a queryset that is read anyway: `.annotate(latest=Subquery(…))`.",
    "sql": sql("SELECT (SELECT count(*) FROM book) AS books, (SELECT count(*) FROM author) AS authors")
    + "\n\nSets of rows: psycopg's `with connection.pipeline():` sends them without waiting for each answer.",
}

ESTIMATE: dict[Flavour, str] = {
    "sqlalchemy": "Fetch one row more than the page holds: it says whether there is a next page.\n\n"
    + python(
        "rows = (await session.scalars(statement.limit(limit + 1))).all()\npage, more = rows[:limit], len(rows) > limit"
    ),
    "django": "Fetch one row more than the page holds: it says whether there is a next page.\n\n"
    + python(
        """
start = (number - 1) * size
rows = list(items[start : start + size + 1])
page, more = rows[:size], len(rows) > size
"""
    )
    + "\n\nIn Django REST framework `CursorPagination` never counts.",
    "sql": "Fetch one row more than the page holds, or show an estimate:\n\n"
    + sql("SELECT reltuples::bigint FROM pg_class WHERE oid = 'item'::regclass  -- as of the last ANALYZE"),
}

BY_KEY: dict[Flavour, str] = {
    "sqlalchemy": python(
        """
statement = select(Item).order_by(Item.created_at, Item.id).limit(limit)
if after is not None:      # the last row of the page before: its order columns, ending with a unique one
    statement = statement.where(tuple_(Item.created_at, Item.id) > after)
"""
    ),
    "django": python(
        """
items = Item.objects.order_by("created_at", "id")
if after:                  # the last row of the page before
    items = items.filter(Q(created_at__gt=after.created_at) | Q(created_at=after.created_at, id__gt=after.id))
page = items[:limit]
"""
    )
    + "\n\nIn Django REST framework `CursorPagination` does it.",
    "sql": sql("SELECT … FROM item WHERE (created_at, id) > (:created_at, :id) ORDER BY created_at, id LIMIT :limit"),
}

POOL: dict[Flavour, str] = {
    "sqlalchemy": "One engine a process, made when it starts:\n\n"
    + python("engine = create_async_engine(url, pool_size=SIZE, max_overflow=0, pool_pre_ping=True)"),
    "django": "Kept connections, or Django's own pool (psycopg, from 5.1 on):\n\n"
    + python(
        """
DATABASES = {"default": {..., "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
DATABASES = {"default": {..., "CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1, "max_size": SIZE}}}}
"""
    ),
    "sql": "One pool a process, opened when it starts:\n\n"
    + python(
        """
pool = psycopg_pool.ConnectionPool(url, min_size=1, max_size=SIZE)      # asyncpg: await asyncpg.create_pool(url)

with pool.connection() as connection:
    ...
"""
    ),
}


def pool(known: Flavour, size: int | None) -> str:
    """The recipe of a pool, of that size where one is known."""
    example = "" if size else f"\n\n{_EXAMPLE} is an example: how many are needed is not known."
    return POOL[known].replace("SIZE", str(size or _EXAMPLE)) + example


_EXAMPLE = 10
SHORT: dict[Flavour, str] = {
    "sqlalchemy": python(
        """
async with sessions.begin() as session:
    order = await session.get(Order, key)
    payload = order.as_payload()          # all that the call needs
answer = await client.post(url, json=payload)      # no transaction is open
async with sessions.begin() as session:
    await session.execute(update(Order).where(Order.id == key, Order.version == payload["version"]).values(...))
"""
    ),
    "django": python(
        """
with transaction.atomic():
    order = Order.objects.get(pk=key)
answer = client.post(url, json=payload)      # outside of the block; ATOMIC_REQUESTS wraps the whole view
with transaction.atomic():
    Order.objects.filter(pk=key, version=order.version).update(...)
"""
    )
    + "\n\nWhat may happen later: `transaction.on_commit(lambda: send(key))`.",
    "sql": python(
        """
row = connection.execute(...).fetchone()
connection.commit()
answer = client.post(url, json=payload)      # no transaction is open
connection.execute("UPDATE ... WHERE id = %s AND version = %s", ...)
connection.commit()
"""
    ),
}

COMMIT_ONCE: dict[Flavour, str] = {
    "sqlalchemy": python(
        "with session.begin():      # one commit, at the end of the block\n    for row in rows:\n        ..."
    ),
    "django": python(
        "with transaction.atomic():      # one commit, at the end of the block\n    for row in rows:\n        ..."
    ),
    "sql": python(
        "with connection.transaction():      # one commit, at the end of the block\n    for row in rows:\n        ..."
    ),
}

ASK_ONCE: dict[Flavour, str] = {
    "sqlalchemy": "Read it once, before the loop, and hand it down:\n\n"
    + python(
        """
currency = await shop_currency(session)          # once a request
return [line(row, currency) for row in rows]
"""
    ),
    "django": "Read it once, before the loop, and hand it down:\n\n"
    + python(
        """
currency = Setting.objects.get(key="currency").value      # once a request
return [line(row, currency) for row in rows]
"""
    ),
    "sql": "Read it once, before the loop, and hand the value down.",
}

BOUND: dict[Flavour, str] = {
    "sqlalchemy": python(
        """
@router.get("/items")
async def list_items(limit: Annotated[int, Query(ge=1, le=100)] = 50, after: int = 0, ...):
    statement = select(Item).where(Item.id > after).order_by(Item.id).limit(limit)
"""
    )
    + "\n\nPaging by the last key stays cheap on later pages, where `OFFSET` reads all that it skips.",
    "django": python(
        """
from django.core.paginator import Paginator

page = Paginator(Item.objects.order_by("id"), per_page=50).get_page(request.GET.get("page"))
"""
    )
    + "\n\nIn Django REST framework set `DEFAULT_PAGINATION_CLASS` and `PAGE_SIZE`.",
    "sql": sql("SELECT … FROM item WHERE id > :after ORDER BY id LIMIT :limit"),
}


def load_only(kind: Flavour, entity: str, columns: list[str]) -> str:
    """The columns left out of the select, loaded when they are asked for."""
    if kind == "django":
        return python(f"{entity}.objects.defer({', '.join(repr(c) for c in columns)})")
    if kind == "sqlalchemy":
        deferred = ", ".join(f"defer({entity}.{c})" for c in columns)
        return (
            python(f"from sqlalchemy.orm import defer\n\nstatement = select({entity}).options({deferred})")
            + "\n\nIn async code a deferred column can't be loaded on access: select what the answer needs, or mark "
            "the "
            "column `deferred=True` in the model and `undefer` it where it is shown."
        )
    return sql("SELECT id, title  -- the columns of the answer, by name, not *\nFROM …")


def migration(kind: Flavour, ddl: str, index: IndexSpec) -> str:
    """An index as a reversible migration."""
    name = name_in(ddl)
    text = f"As tried on the clone:\n\n{sql(ddl)}"
    if kind == "django" and index.is_plain:
        made = f"models.Index(fields=[{', '.join(map(repr, index.keys))}], name={name[:30]!r})"
        text += "\n\nAs part of the model, then `manage.py makemigrations`:\n\n" + python(
            f"class Meta:\n    indexes = [{made}]"
        )
    if kind == "sqlalchemy":
        text += "\n\nAs an Alembic migration:\n\n" + python(
            f"def upgrade() -> None:\n    op.create_index({', '.join(alembic_arguments(index, name))})\n\n\n"
            f"def downgrade() -> None:\n    op.drop_index({name!r}, table_name={index.table!r})"
        )
    if "`" in ddl:
        return text + _online(ddl, name)
    return (
        text
        + "\n\nOn a busy PostgreSQL build it without a lock: `CREATE INDEX CONCURRENTLY`, outside of a transaction "
        "(`postgresql_concurrently=True` within `op.get_context().autocommit_block()`, or Django's "
        "`AddIndexConcurrently`)."
    )


ONLINE = "ALGORITHM=INPLACE LOCK=NONE"


def _online(ddl: str, name: str) -> str:
    """Of MySQL and MariaDB, the way forth and back."""
    table = ddl.partition(" ON ")[2].partition(" (")[0]
    return (
        "\n\nOn a busy server build it so that nobody is locked out; where that can't be, it fails at once. What "
        "waits for a long transaction on the table waits behind it:\n\n"
        + sql(f"{ddl} {ONLINE};\n\n-- To roll back:\nDROP INDEX {name} ON {table} {ONLINE};")
    )


def parts(ddl: str) -> str:
    """An index of a partitioned table, which can't be built CONCURRENTLY as a whole."""
    name, _, on = ddl.removeprefix("CREATE INDEX ").partition(" ON ")
    table, _, keys = on.partition(" ")
    schema = f"{table.rpartition('.')[0]}." if "." in table else ""
    return (
        f"As tried on the clone:\n\n{sql(ddl)}\n\nThat locks writers out of every partition. Without such a lock, "
        "outside of a transaction: an index of the parent alone, one CONCURRENTLY on each partition, then each of them "
        "attached, after which the parent's is valid:\n\n"
        + sql(
            f"CREATE INDEX {name} ON ONLY {table} {keys};\n\n-- For each partition:\n"
            f"CREATE INDEX CONCURRENTLY its_name ON its_partition {keys};\n"
            f"ALTER INDEX {schema}{name} ATTACH PARTITION its_name;\n\n"
            f"-- To roll back, the partitions' with it:\nDROP INDEX {schema}{name};"
        )
    )


def alembic_arguments(index: IndexSpec, name: str, quote: str = "'") -> list[str]:
    """What `op.create_index` is called with, `sa` being SQLAlchemy."""
    texts = (sql_key(index, k) if is_expression(k) else k for k in index.keys)
    keys = ", ".join(f"sa.text({quoted(t, quote)})" if is_expression(t) else quoted(t, quote) for t in texts)
    more = [f"{name}={value}" for name, value in options(index, "sa.text", quote)]
    return [quoted(name, quote), quoted(index.table.rpartition(".")[2], quote), f"[{keys}]", *more]


def sql_key(index: IndexSpec, key: str) -> str:
    """An expression as CREATE INDEX takes it, with its operator class."""
    call = re.fullmatch(r"\w+\((?:[^()]|\([^()]*\))*\)", key)
    return f"{key if call else f'({key})'} {index.opclass}".strip()


def options(index: IndexSpec, text: str, quote: str = '"') -> list[tuple[str, str]]:
    """The keywords of SQLAlchemy's Index for what it is beside its keys; `text` is the module's name for `text`."""
    found: list[tuple[str, str]] = []
    if index.include:
        found.append(("postgresql_include", f"[{', '.join(quoted(c, quote) for c in index.include)}]"))
    if index.where:
        condition = f"{text}({quoted(index.where, quote)})"
        found += [(f"{engine}_where", condition) for engine in ("postgresql", "sqlite")]
    if index.using != "btree":
        found.append(("postgresql_using", quoted(index.using, quote)))
    if index.parameters:
        given = ", ".join(f"{quoted(name, quote)}: {value}" for name, value in index.parameters)
        found.append(("postgresql_with", f"{{{given}}}"))
    if index.opclass and index.columns:
        named = ", ".join(f"{quoted(k, quote)}: {quoted(index.opclass, quote)}" for k in index.columns)
        found.append(("postgresql_ops", f"{{{named}}}"))
    return found


def quoted(text: str, quote: str) -> str:
    """A Python string in these quotes, in others where it holds them."""
    if quote in text or "\\" in text or "\n" in text:
        return repr(text)
    return f"{quote}{text}{quote}"
