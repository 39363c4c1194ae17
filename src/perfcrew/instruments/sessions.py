"""One connection to a clone, with what planning and trying an index need of it, in either engine's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, NamedTuple, Protocol

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import PlanNode
from perfcrew.core.indexes import IndexSpec, free_name
from perfcrew.core.sql_candidates import Engine, TableFacts
from perfcrew.instruments.binding import Bound

RUN_S = 10.0
"""No statement is waited for longer, nor is an index that takes longer than `BUILD_S` to build."""
BUILD_S = 120.0
LOCK_S = 10.0


class Clone(Protocol):
    """What is needed of a clone of the target's database."""

    @property
    def engine(self) -> str:
        """`sqlite`, `postgresql`, `mysql` or `none`."""

    def connect(self) -> Any:
        """A DBAPI connection: sqlite3's, psycopg's or PyMySQL's."""


class Refused(Exception):
    """The engine did not do it; the text is the engine's first line. Stays within the instruments."""


class TookTooLong(Refused):
    """It was ended at its time-out."""


class Gone(Refused):
    """The connection was lost: nothing more can be asked on it."""


class Unknown(Refused):
    """It calls what the application defines on its own connections: it can be planned, and not run."""


class Index(NamedTuple):
    """An index to build: its name as plans say it, the same as SQL takes it, and the statement that makes it."""

    name: str
    path: str
    ddl: str


class Written(NamedTuple):
    """Milliseconds for writing some rows; all is undone."""

    insert_ms: float
    update_ms: float
    delete_ms: float


class Session(Protocol):
    """What can be asked of a clone. Every method raises Refused where the engine does, with the engine's words."""

    engine: Engine

    def plan(self, bound: Bound, *, run: bool) -> tuple[PlanNode, ...]:
        """The plan; with `run` by running the statement where the engine counts rows that way."""

    def run_ms(self, bound: Bound) -> float:
        """Run it once, fetch every row, undo what it did: milliseconds."""

    def count(self, bound: Bound) -> int:
        """The rows that it gives, counted by the engine."""

    def facts(self, names: Iterable[str]) -> Mapping[str, TableFacts]:
        """The tables of those plain names (in lower case or as they are), with rows and indexes."""

    def refresh(self, facts: Mapping[str, TableFacts]) -> None:
        """Give the planner up-to-date statistics, where production would have them."""

    def width_bytes(self, table: str, columns: Iterable[str]) -> float | None:
        """What those columns of a row take on average; None where nobody knows."""

    def extensions(self) -> frozenset[str]:
        """What is installed in the database."""

    def settle(self, facts: Mapping[str, TableFacts]) -> None:
        """Bring the tables to the state that the engine's own upkeep brings them to."""

    def index(self, spec: IndexSpec) -> Index:
        """The index that `build` would make: a free name, and its statement."""

    def would_use(self, index: Index, bounds: Iterable[Bound]) -> bool | None:
        """Whether a plan would use it, were it there, without building it; None where that can't be asked."""

    def twin(self, index: Index) -> str:
        """The name of another index that is the same by its definition; empty where there is none."""

    def without(self, indexes: Iterable[Index]) -> AbstractContextManager[None]:
        """A transaction in which those indexes are dropped; it is rolled back, and they are there again."""

    def writes(self, table: str, columns: Iterable[str], rows: int) -> Written:
        """Insert copies of that many rows, change those columns of them, delete them, undo it all."""

    def build(self, index: Index) -> None:
        """Build it, with statistics where the planner goes by them."""

    def names(self, index: Index) -> frozenset[str]:
        """What plans call it once it is built: a partitioned table has one of it on each partition."""

    def analyze(self, tables: Iterable[str]) -> None:
        """Statistics of those tables' expressions too, as production has them once an index on one stands."""

    def drop(self, index: Index) -> None:
        """Drop it again, if it is there."""

    def size_bytes(self, index: Index) -> int | None:
        """Its size; None where the engine can't tell."""


@contextmanager
def session(clone: Clone) -> Iterator[Session]:
    """A session on that clone, ended with the block. Raises Unmeasurable where there is no database."""
    from perfcrew.instruments.session_mysql import MysqlSession
    from perfcrew.instruments.session_postgres import PostgresSession
    from perfcrew.instruments.session_sqlite import SqliteSession

    kinds: dict[str, Callable[[Any], Session]] = {
        "sqlite": SqliteSession,
        "postgresql": PostgresSession,
        "mysql": MysqlSession,
    }
    if clone.engine not in kinds:
        raise Unmeasurable("there is no database to plan statements on", do="set `target.database_url`")
    with closing(clone.connect()) as db:
        yield kinds[clone.engine](db)


def index_name(spec: IndexSpec, taken: Iterable[str], longest: int = 60) -> str:
    """A name such as `ix_events_customer_id_happened_at` that is not taken."""
    return free_name(f"ix_{spec.table.rpartition('.')[2]}_{'_'.join(spec.words)}", taken, longest)
