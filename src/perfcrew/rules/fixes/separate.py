"""Reads of one request that need nothing of one another, each on a session of its own: they wait together.

Never is one session shared by tasks. Refused where a second session could see or hold anything else: after a write, in
a transaction that was begun, where the request's session may hold a connection by then, and where rows of a class get
further than to the columns that they were loaded with.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import NamedTuple

import libcst as cst

from perfcrew.core.sql import is_read
from perfcrew.rules import statements
from perfcrew.rules.fixes import gathering, imports, keepable, makers, project, selects, sight, used
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.gathering import Argument
from perfcrew.rules.fixes.models import Models
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.reach import callers
from perfcrew.rules.fixes.turning import writes
from perfcrew.rules.places import named
from perfcrew.rules.source import covers, dotted, names

_SESSION = re.compile(r"\bAsyncSession\b|SessionDep\b")
_BEGINS = frozenset({"begin", "begin_nested", "add", "add_all", "delete", "merge", "flush", "commit", "rollback"})
_CONNECTIONS = "Each statement takes a connection of its own while it waits: the pool has to hold as many a request."
_STATES = "Statements on several sessions see the data as of their own moments, not as of one."
_VAIN = "When one statement fails, the others have been sent in vain."


class Read(NamedTuple):
    """A statement that reads, with the one that takes its answer where that is another one."""

    statements: tuple[ast.stmt, ...]
    target: str
    call: ast.Call
    answer: selects.Answer
    ends: str
    """What is called on the answer by the second statement, as code."""

    @property
    def read(self) -> frozenset[str]:
        return names(self.statements[0], ast.Load)

    @property
    def stored(self) -> frozenset[str]:
        return frozenset().union(*(names(s, ast.Store) for s in self.statements))


@dataclass
class _Run:
    """Reads that need nothing of one another, and what is built between them."""

    reads: list[Read] = field(default_factory=list)
    between: list[ast.stmt] = field(default_factory=list)
    """Of them, those before the last read."""
    pending: list[ast.stmt] = field(default_factory=list)


def gathered(case: Case, spot: Spot, known: Models) -> Draft:
    """Raises Unwritable with what stands in the way."""
    function = spot.function
    if not isinstance(function, ast.AsyncFunctionDef):
        raise Unwritable(
            "the statements are sent by sync code, which waits for each: ask for both in one, as the recipe says"
        )
    session = _session(function)
    _refuse_state(case, spot, session)
    found = makers.maker(case, spot, session)
    run = _run_at(spot, session, known)
    _refuse_before(case, spot, session, run)
    for read in run.reads:
        if read.answer.model is not None:
            used.columns(case, read.answer.model, used.Rows(spot, read.answer.whole, read.answer.many))
    edits = Edits(spot.text)
    if isinstance(found, makers.Injected):
        _refuse_called(case, function)
        sessions = makers.asked_for(edits, case.root, function, session, found)
    else:
        sessions = makers.named_in(edits, case.root, found)
    if sessions in sight.parameters(function) | names(function, ast.Store):
        raise Unwritable(f"`{sessions}` is something else in `{function.name}`")
    _write(case, edits, spot, session, run, sessions)
    title = f"Let the independent statements of {function.name} wait together, each on a session of its own"
    return Draft("own sessions", title, {spot.file: edits.result()}, (_CONNECTIONS, _STATES, _VAIN))


def _refuse_called(case: Case, function: ast.AsyncFunctionDef) -> None:
    """Raises Unwritable where somebody besides the framework would have to give one more argument."""
    if not any(isinstance(d, ast.Call) and isinstance(d.func, ast.Attribute) for d in function.decorator_list):
        raise Unwritable(f"`{function.name}` is no endpoint, which could ask for the sessionmaker as a dependency")
    if callers(case.root, function):
        raise Unwritable(f"`{function.name}` is called by others too, who would have to give it the sessionmaker")


def _session(function: ast.AsyncFunctionDef) -> str:
    found = [a for a in sorted(sight.parameters(function)) if _SESSION.search(sight.annotation_of(function, a))]
    if len(found) != 1:
        raise Unwritable(f"`{function.name}` has no one parameter that is annotated as an AsyncSession")
    if found[0] in names(function, ast.Store):
        raise Unwritable(f"`{found[0]}` is given another value")
    return found[0]


def _refuse_state(case: Case, spot: Spot, session: str) -> None:
    """Raises Unwritable where another session would not be in the same state, or not see the same."""
    assert spot.function is not None
    for call in (n for n in ast.walk(spot.function) if isinstance(n, ast.Call)):
        owner, _, method = dotted(call.func).rpartition(".")
        if writes(call) or (owner == session and method in _BEGINS):
            raise Unwritable(
                f"line {call.lineno} writes, or begins or ends a transaction: other sessions don't see that"
            )
    keepable.refuse_held(case)
    for text in project.sources(case.root):
        level = None if project.is_test(case.root, text.path) else re.search(r"REPEATABLE.READ|SERIALIZABLE", text.text)
        if level:
            where = text.path.relative_to(case.root).as_posix()
            raise Unwritable(
                f"{where} asks for {level.group()}: statements of one transaction see one state of the data"
            )
    if any(project.depends_on(case.root, package) for package in ("aiomysql", "asyncmy")):
        raise Unwritable("on MySQL the statements of one transaction see one state of the data: those of several don't")
    _refuse_traced(case)


def _refuse_traced(case: Case) -> None:
    for traced in case.scene.traced if case.scene else ():
        for span in (s for t in traced.traces for s in statements.sent(t)):
            if not is_read(statements.text_of(span)):
                raise Unwritable("a request to the endpoint writes too: other sessions don't see that before it ends")


def _refuse_before(case: Case, spot: Spot, session: str, run: _Run) -> None:
    """Raises Unwritable where the session may hold a connection while others are waited for.

    Many requests at once could then hold all of the pool's, each waiting for one more.
    """
    first = run.reads[0].statements[0]
    assert spot.function is not None
    earlier = [n for n in ast.walk(spot.function) if isinstance(n, ast.Name) and n.id == session]
    if any(isinstance(n.ctx, ast.Load) and n.lineno < first.lineno for n in earlier):
        raise Unwritable(
            f"`{session}` is used before line {first.lineno} and holds a connection from then on: while it waits for "
            "more, requests at once could hold all of the pool's. Put the reads before it, or end its transaction first"
        )
    name = spot.function.name
    for trace in (t for traced in (case.scene.traced if case.scene else ()) for t in traced.traces):
        sent = sorted(statements.sent(trace), key=lambda s: s.start_ns)
        if sent and not any(named(f).rsplit(".", 1)[-1] == name for f in sent[0].stack):
            raise Unwritable(
                "a statement is sent before these in the request, by a session that may hold a connection by then: "
                "while more are waited for, requests at once could hold all of the pool's"
            )


def _run_at(spot: Spot, session: str, known: Models) -> _Run:
    """The reads around the finding's line. Raises Unwritable with what stands between them."""
    scan = _Scan(spot, session, known)
    scan.take(gathering.block_at(spot))
    runs = [r for r in scan.runs if len(r.reads) > 1]
    found = [r for r in runs if any(covers(s, spot.line) for x in r.reads for s in x.statements)]
    if not found:
        raise Unwritable("; ".join(dict.fromkeys(scan.reasons)) or "no other read beside it that it could wait with")
    return found[0]


class _Scan:
    """Goes over a block once, and cuts it into runs."""

    def __init__(self, spot: Spot, session: str, known: Models) -> None:
        self._spot, self._session, self._known = spot, session, known
        self.runs = [_Run()]
        self.reasons: list[str] = []

    def take(self, block: list[ast.stmt]) -> None:
        done: set[ast.stmt] = set()
        for at, statement in enumerate(block):
            if statement in done:
                continue
            try:
                read = self._read(statement, block[at + 1] if at + 1 < len(block) else None)
            except Unwritable as error:
                self._cut(str(error))
                continue
            if read is None:
                self._between(statement)
            else:
                self._join(read)
                done.update(read.statements)

    def _cut(self, reason: str) -> None:
        self.reasons.append(reason)
        self.runs.append(_Run())

    def _join(self, read: Read) -> None:
        run = self.runs[-1]
        stored = frozenset().union(*(r.stored for r in run.reads))
        if read.read & stored or read.stored & (stored | frozenset().union(*(r.read for r in run.reads))):
            again = min(read.read & stored | read.stored & stored, default=read.target)
            if not _named_anew(read, run):
                self._cut(f"line {read.statements[0].lineno} needs `{again}`, or gives it another value")
                run = self.runs[-1]
        run.between += run.pending
        run.pending = []
        run.reads.append(read)

    def _between(self, statement: ast.stmt) -> None:
        run = self.runs[-1]
        if not run.reads:
            return
        stored = names(statement, ast.Store)
        seen = frozenset().union(*(r.read | r.stored for r in run.reads))
        needs = names(statement, ast.Load) & frozenset().union(*(r.stored for r in run.reads))
        try:
            if needs or stored & seen or not _names_something(statement):
                raise Unwritable(f"line {statement.lineno} stands between the statements and can't be done before them")
            selects.refuse_other(self._spot, statement)
            run.pending.append(statement)
        except Unwritable as error:
            self._cut(str(error))

    def _read(self, statement: ast.stmt, following: ast.stmt | None) -> Read | None:
        """None where the session isn't used. Raises Unwritable where it is used in another way."""
        if self._session not in names(statement, ast.Load):
            return None
        target, waits = gathering.named_target(statement), gathering.awaits_in(statement)
        call = waits[0].value if len(waits) == 1 else None
        used_by = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id == self._session]
        if target is None or not target.isidentifier() or not isinstance(call, ast.Call) or len(used_by) != 1:
            raise Unwritable(f"line {statement.lineno} uses the session in another way than to read one answer")
        owner, _, method = dotted(call.func).rpartition(".")
        whole, ends = _ends(self._spot, waits[0])
        if owner == self._session and method == "get" and whole is getattr(statement, "value", None) and not ends:
            return Read((statement,), target, call, selects.got(self._spot, call, self._known, whole), "")
        if owner != self._session or method not in selects.SENDS or len(call.args) != 1 or call.keywords:
            raise Unwritable(f"line {statement.lineno} is no plain read by the session: {_recipe(method)}")
        selects.refuse_statement(self._spot, call.args[0])
        if whole is getattr(statement, "value", None) and (ends or method == "scalar"):
            return Read((statement,), target, call, selects.answer(self._spot, call, self._known, whole, ends), "")
        return self._in_two(statement, following, target, call, whole)

    def _in_two(
        self, statement: ast.stmt, following: ast.stmt | None, target: str, call: ast.Call, whole: ast.expr
    ) -> Read:
        """`result = await session.execute(…)`, whose next line takes all of it: `books = result.scalars().all()`."""
        taken = gathering.named_target(following) if following is not None else None
        value = getattr(following, "value", None)
        base = next((n for n in ast.walk(value) if isinstance(n, ast.Name) and n.id == target), None) if value else None
        if whole is not getattr(statement, "value", None) or base is None or following is None or not taken:
            raise Unwritable(f"line {statement.lineno}: what is read is not taken at once, as by `.all()`")
        end, ends = _ends(self._spot, base)
        if end is not value or not ends or not taken.isidentifier() or self._read_again(target, base, following):
            raise Unwritable(f"line {following.lineno} does more with `{target}` than to take its rows")
        answer = selects.answer(self._spot, call, self._known, end, ends)
        return Read((statement, following), taken, call, answer, ast.unparse(end)[len(target) :])

    def _read_again(self, name: str, base: ast.Name, following: ast.stmt) -> bool:
        """Whether the result may be asked again below, before it is surely another one."""
        function = self._spot.function
        assert function is not None
        named = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name and n is not base]
        after = sorted((n for n in named if n.lineno > following.lineno), key=lambda n: (n.lineno, n.col_offset))
        if self._spot.text.in_loop(following.lineno):
            return True
        statement = self._spot.parents.get(after[0]) if after else None
        if not after or not isinstance(statement, ast.Assign):
            return bool(after)
        return name in names(statement.value, ast.Load) or statement not in gathering.block_at(
            self._spot.at(following.lineno)
        )


def _recipe(method: str) -> str:
    named = f"`{method}` " if method else "it "
    return f"{named}is not one of `scalar`, `scalars` and `execute` with a statement alone"


def _named_anew(read: Read, run: _Run) -> bool:
    """Whether all that clashes is the name of a result that each pair of lines uses for itself: `result = await …`."""
    passing = frozenset().union(
        *(names(r.statements[0], ast.Store) for r in (read, *run.reads) if len(r.statements) > 1)
    )
    kept = frozenset(r.target for r in (read, *run.reads))
    stored = frozenset(r.target for r in run.reads)
    free = len(kept) == len(run.reads) + 1 and not passing & kept
    return free and not (read.read & stored) and not any(r.read & passing for r in (read, *run.reads))


def _names_something(statement: ast.stmt) -> bool:
    plain = isinstance(statement, ast.Assign) and all(isinstance(t, ast.Name) for t in statement.targets)
    return plain or (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name))


def _ends(spot: Spot, node: ast.expr) -> tuple[ast.expr, list[str]]:
    """The whole chain of calls without arguments on an expression, and their names."""
    found: list[str] = []
    while True:
        attribute = spot.parents.get(node)
        call = spot.parents.get(attribute) if isinstance(attribute, ast.Attribute) else None
        if not isinstance(attribute, ast.Attribute) or not isinstance(call, ast.Call) or call.args or call.keywords:
            return node, found
        found.append(attribute.attr)
        node = call


def _write(case: Case, edits: Edits, spot: Spot, session: str, run: _Run, maker: str) -> None:
    asyncio = imports.bring(edits, "asyncio")
    first = run.reads[0].statements[0]
    assert spot.function is not None
    asks = [sight.free_name(spot.function, f"read_{r.target}") for r in run.reads]
    functions = [_function(edits, r, ask, session, maker) for r, ask in zip(run.reads, asks, strict=True)]
    above = [_comments(edits, r, own=number > 0) for number, r in enumerate(run.reads)]
    functions = ["\n".join([*comments, code]) for comments, code in zip(above, functions, strict=True)]
    calls = [Argument(f"{ask}()") for ask in asks]
    prefix = f"{', '.join(r.target for r in run.reads)} = await {asyncio}.gather("
    together = gathering.joined(prefix, calls, ")", first.col_offset, project.line_length(case.root))
    built = "\n".join(edits.code(s).strip("\n") for s in run.between)
    edits.replace(first, "\n\n".join(part for part in (built, *functions, together) if part))
    for statement in [*(s for r in run.reads for s in r.statements if s is not first), *run.between]:
        edits.remove(statement)


def _comments(edits: Edits, read: Read, own: bool) -> list[str]:
    """Those above and beside its statements; without those above the first where they stay where they are."""
    found: list[str] = []
    for number, statement in enumerate(read.statements):
        node = edits.statement(statement)
        above = node.leading_lines if own or number else ()
        found += [line.comment.value for line in above if line.comment]
        trailing = node.trailing_whitespace if isinstance(node, cst.SimpleStatementLine) else None
        found += [trailing.comment.value] if trailing is not None and trailing.comment else []
    return found


def _function(edits: Edits, read: Read, name: str, session: str, maker: str) -> str:
    """The function that reads; within it the session's name stands for its own."""
    value = getattr(read.statements[0], "value", None)
    assert isinstance(value, ast.expr)
    if any(isinstance(n, ast.Constant) and n.lineno != n.end_lineno for n in ast.walk(value)):
        raise Unwritable(f"line {value.lineno}: a text over several lines stands in what would move")
    said = f"({edits.code(value)}){read.ends}" if read.ends else edits.code(value)
    inner = said.replace("\n", "\n        ")
    return f"async def {name}():\n    async with {maker}() as {session}:\n        return {inner}"
