"""Nearest neighbours in a vector column: how a statement asks for them, and what a sweep of indexes found.

Field names carry their units, as those of all evidence do.
"""

from __future__ import annotations

from typing import Literal

from perfcrew.core.base import Noun

Access = Literal["exact", "ivfflat", "hnsw"]
Named = Literal["constant", "logarithmic", "linear", "unclear"]
OPERATORS = ("<->", "<#>", "<=>", "<+>")
"""Euclidean, negative inner product, cosine, taxicab."""
_CLASSES = {"<->": "l2", "<#>": "ip", "<=>": "cosine", "<+>": "l1"}


def operator_class(column_type: str, operator: str) -> str:
    """The only operator class whose indexes serve that operator: `vector_cosine_ops` for `<=>`."""
    return f"{column_type}_{_CLASSES[operator]}_ops"


def accesses(operator: str) -> tuple[Access, ...]:
    """The kinds of index that pgvector has for the operator: IVFFlat knows no taxicab distance."""
    return ("hnsw",) if operator == "<+>" else ("hnsw", "ivfflat")


class VectorIndex(Noun):
    """An index of the catalogue on the column. `why_not` says why the statement can't use it; empty where it can."""

    name: str
    access: Access
    operator_class: str
    options: dict[str, int] = {}
    """`lists`, or `m` and `ef_construction`; pgvector's defaults where the index names none."""
    size_bytes: int
    why_not: str = ""


class VectorSetting(Noun):
    """One way to search, as measured: an index as it would be built, and a session's setting beside it."""

    access: Access
    options: dict[str, int] = {}
    session: dict[str, str] = {}
    """`hnsw.ef_search`, `ivfflat.probes`, and `iterative_scan` where it was on."""
    existing: str = ""
    """The name of the user's own index; empty for one that was built for the sweep."""
    recall_share: float
    """Of the exact answer's rows, the mean over all query vectors."""
    worst_share: float
    returned_share: float = 1.0
    """Rows returned, of those that the exact answer has."""
    median_ms: float
    exact_ms: float
    """Median of the exact searches that were taken in turn with it."""
    exact_ratio: float
    """Time of the exact search over this one's, the median over the pairs."""
    build_ms: float | None = None
    size_bytes: int | None = None
    frontier: bool = False
    """Whether nothing measured was both quicker and closer to the exact answer."""

    @property
    def said(self) -> str:
        """`hnsw m=16 ef_construction=64, hnsw.ef_search=40`; the user's own index with its name."""
        options = " ".join(f"{name}={value}" for name, value in self.options.items())
        session = " ".join(f"{name}={value}" for name, value in self.session.items())
        parts = (f"{self.access} {options}".strip(), session, f"({self.existing})" if self.existing else "")
        return ", ".join(part for part in parts if part)


class VectorGrowth(Noun):
    """How one way to search grows with the table."""

    access: Access
    sizes: tuple[float, ...]
    """Rows."""
    values_ms: tuple[float, ...]
    pages: tuple[float, ...]
    """Pages that the plan touched, a query."""
    by_time: Named
    by_plan: Named


class VectorSearch(Noun):
    """A nearest-neighbour statement, its column's indexes, and what a sweep on a clone measured."""

    kind: Literal["vectors"] = "vectors"
    shape: str
    table: str
    column: str
    column_type: str
    expression: str
    """What an index is on: the column, or a cast of it in parentheses."""
    operator: str
    operator_class: str
    direct: bool
    """Whether it orders by the distance itself, ascending, which is all that an index can give."""
    wanted_count: int
    """Rows it asks for, those that OFFSET skips among them."""
    filtered: bool
    kept_share: float
    """Of the table's rows, those that its conditions leave."""
    dimensions_count: int
    table_rows: int
    indexes: tuple[VectorIndex, ...] = ()
    taken: tuple[str, ...] = ()
    """Names of the database that begin as an index of this column would be named."""
    session: dict[str, str] = {}
    """What the application's session has set, or the server's defaults."""
    queries_count: int
    captured_count: int
    """Query vectors that the application itself sent; the others were drawn from the table."""
    asked_share: float
    exact_ms: float
    """Median of the exact search."""
    current: VectorSetting
    """The statement as it stands."""
    settings: tuple[VectorSetting, ...] = ()
    recommended: VectorSetting | None = None
    growth: tuple[VectorGrowth, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
