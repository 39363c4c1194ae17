"""RT301: a blocking call leaves the event loop: a thread, an async client, or a handler that runs in a thread.

Declined where what is called may not leave its thread by sight: it works on a session or connection, on asyncio's
objects, or on its module's state.
"""

from __future__ import annotations

import ast
import re

from perfcrew.core.patches import Declined, Fix
from perfcrew.core.web import Place
from perfcrew.rules.fixes import imports, project, sight
from perfcrew.rules.fixes.asynclient import with_async_client
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.rt301_blocking_call import BLOCKING
from perfcrew.rules.source import Function, covers, dotted, inside, names

_ASKS = re.compile(
    r"^(get|post|put|patch|delete|head|options|request|send|urlopen|execute|executemany|scalar|scalars|fetch\w*|query|commit"
    r"|connect|read|recv|invoke|run|call|search|complete|create|generate|chat)$"
)
_ROUTE = re.compile(r"(^|\.)(get|post|put|patch|delete|head|options|route|api_route|api_view)$")
_THREAD = "A thread helps while the call waits; pure Python computing in it would still hold the interpreter's lock."
_POOL = "FastAPI and Starlette run `def` handlers in a pool of 40 threads: more requests than that at once wait."
_NO_THREAD = ("asyncio.", "anyio.", "threading.local", "contextvars.", "signal.")


def fix(case: Case) -> list[Fix | Declined]:
    """A thread or a `def` handler for one hypothesis, an async client for the other."""
    return [
        *attempt(case, "thread", lambda: _thread(case), lambda: _plain_handler(case)),
        *attempt(case, "async", lambda: _async_client(case)),
    ]


def _where(case: Case) -> Spot:
    """The line of the async function that blocks. Raises Unwritable where there is none."""
    spot = locate(case, _async_place(case))
    if not isinstance(spot.function, ast.AsyncFunctionDef):
        raise Unwritable(f"{_async_place(case)} is not in an async function any more")
    return spot


def _async_place(case: Case) -> Place:
    return case.finding.trigger or case.finding.place


def _thread(case: Case) -> Draft:
    spot = _where(case)
    call = blocking_call(case, spot)
    edits = Edits(spot.text)
    if imports.called(spot.text, call) == "time.sleep":
        edits.swap(call, f"await {imports.bring(edits, 'asyncio')}.sleep({_arguments(edits, call)})")
        return _draft("asyncio.sleep", "Wait with asyncio.sleep, which lets the loop go on", spot, edits, [])
    _may_leave(case, spot, call)
    edits.swap(call, f"await {imports.bring(edits, 'asyncio')}.to_thread({_handed(edits, call)})")
    title = f"Hand {sight.last(dotted(call.func))} of {_name(spot)} to a thread"
    return _draft("asyncio.to_thread", title, spot, edits, [_THREAD, *_reading(spot, call)])


def _draft(variant: str, title: str, spot: Spot, edits: Edits, trade_offs: list[str], lower: float = 0) -> Draft:
    return Draft(variant, title, {spot.file: edits.result()}, trade_offs, lower)


def _name(spot: Spot) -> str:
    return spot.function.name if spot.function else spot.file


def _handed(edits: Edits, call: ast.Call) -> str:
    """The function and its arguments, as arguments of `to_thread`."""
    written = _arguments(edits, call)
    gap = "," if written.startswith("\n") else ", "
    return edits.code(call.func) + (f"{gap}{written}" if written.strip() else "")


def _arguments(edits: Edits, call: ast.Call) -> str:
    """What stands between the call's parentheses, to the letter."""
    whole, function = edits.code(call), edits.code(call.func)
    written = whole[len(function) :].lstrip()[1:-1]
    return written if "\n" in written else written.strip().rstrip(",")


def _reading(spot: Spot, call: ast.Call) -> list[str]:
    parent = spot.parents.get(call)
    if isinstance(parent, ast.withitem):
        return ["Only opening it leaves the loop: what the block reads from it still waits on the loop."]
    return []


def blocking_call(case: Case, spot: Spot) -> ast.Call:
    """The call at the spot's line that blocks. Raises Unwritable where it can't be told, or can't be awaited there."""
    assert spot.function is not None
    calls = [n for n in inside(spot.function) if isinstance(n, ast.Call) and covers(n, spot.line)]
    free = [c for c in calls if not isinstance(spot.parents.get(c), ast.Await)]
    chosen = _told(case, spot, free)
    if chosen is None:
        raise Unwritable(f"which call of line {spot.line} blocks can't be told by its name")
    _may_await(spot, chosen)
    return chosen


def _told(case: Case, spot: Spot, calls: list[ast.Call]) -> ast.Call | None:
    """By the function that the finding names, by the names of what is known to block, by the verbs of clients."""
    culprit = case.finding.place.function.rsplit(".", 1)[-1] if case.finding.trigger else ""
    named = [c for c in calls if culprit and sight.last(dotted(c.func)) == culprit]
    known = [c for c in calls if BLOCKING.match(imports.called(spot.text, c) or "-")]
    asking = [c for c in calls if _ASKS.match(sight.last(dotted(c.func)))]
    own = [c for c in calls if case.finding.trigger and sight.definition(case.root, spot.text, c)]
    for found in (named, known, own, asking):
        if len(found) > 1 and not _chained(found):
            return None
        if found:
            # The innermost of a chain is called first: `desk.get(url)` in `desk.get(url).json()`.
            return min(found, key=lambda c: (c.end_lineno or 0, c.end_col_offset or 0))
    return None


def _chained(calls: list[ast.Call]) -> bool:
    """Whether each is called on what another gives: `desk.get(url).read()`."""
    longest = max(calls, key=lambda c: (c.end_lineno or 0, c.end_col_offset or 0))
    links: list[ast.AST] = [longest]
    node: ast.AST = longest
    while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
        links.append(node)
    return all(any(call is link for link in links) for call in calls)


def _may_await(spot: Spot, call: ast.Call) -> None:
    for node in spot.around(call):
        if isinstance(node, (ast.Lambda, ast.GeneratorExp)):
            raise Unwritable("the call stands in a lambda or generator, where nothing can be awaited")
    if sight.last(dotted(call.func)) == "open":
        raise Unwritable("handing over `open` alone leaves the reading on the loop: put all of it into one function")


def _may_leave(case: Case, spot: Spot, call: ast.Call) -> None:
    """Raises Unwritable where the called function isn't safe in a thread by sight."""
    session = sight.session_in(case.root, call, spot.function)
    if session:
        raise Unwritable(
            f"line {call.lineno} hands over `{session}`: a session or connection may not be used by another thread; "
            "use the driver's async interface"
        )
    function = sight.definition(case.root, spot.text, call)
    if function is not None:
        _body_may_leave(function, spot)


def _body_may_leave(function: Function, spot: Spot) -> None:
    if isinstance(function, ast.AsyncFunctionDef) or any(
        isinstance(n, (ast.Yield, ast.YieldFrom)) for n in inside(function)
    ):
        raise Unwritable(f"`{function.name}` is a generator or async: its work is not done where it is called")
    if any(isinstance(n, (ast.Global, ast.Nonlocal)) for n in inside(function)):
        raise Unwritable(f"`{function.name}` changes names outside of it: not safe in a thread by sight")
    used = {
        imports.full_name(spot.text, dotted(n)) for n in inside(function) if isinstance(n, (ast.Attribute, ast.Name))
    }
    loop = next(
        (name for name in sorted(used) if f"{name}.".startswith(_NO_THREAD) or name.startswith(_NO_THREAD)), None
    )
    session = sight.global_session(function) or sight.keeps_state(function)
    if loop or session:
        raise Unwritable(f"`{function.name}` works on `{loop or session}`, which belongs to the loop's thread")


def _plain_handler(case: Case) -> Draft:
    """`def` for `async def`, where the framework runs such a handler in a thread."""
    spot = _where(case)
    function = spot.function
    assert isinstance(function, ast.AsyncFunctionDef)
    _may_be_plain(case, spot, function)
    edits = Edits(spot.text)
    edits.change(function, lambda old: old.with_changes(asynchronous=None))
    title = f"Make {function.name} a plain function, which the framework runs in a thread"
    return _draft("def handler", title, spot, edits, [_POOL], lower=2)


def _may_be_plain(case: Case, spot: Spot, function: ast.AsyncFunctionDef) -> None:
    if case.app.project.framework not in ("fastapi", "starlette"):
        raise Unwritable("only FastAPI and Starlette are known to run `def` handlers in a thread")
    if not any(_ROUTE.search(dotted(d.func)) for d in function.decorator_list if isinstance(d, ast.Call)):
        raise Unwritable(f"`{function.name}` is no handler by its decorators: its callers await it")
    waits = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)
    if any(isinstance(n, waits) or getattr(n, "is_async", 0) for n in ast.walk(function)):
        raise Unwritable(f"`{function.name}` awaits something else, so it must stay async")
    if names(function, ast.Load) & {"asyncio", "anyio"}:
        raise Unwritable(f"`{function.name}` works on the event loop's objects")
    if any(
        f"{function.name}(" in text.text.replace(f"def {function.name}(", "") for text in project.sources(case.root)
    ):
        raise Unwritable(f"`{function.name}` is called by other code, which awaits it")


def _async_client(case: Case) -> Draft:
    if case.finding.trigger is not None:
        raise Unwritable(
            "the call is in a sync function: every function up to the async one would have to become async"
        )
    spot = _where(case)
    call = blocking_call(case, spot)
    if not project.depends_on(case.root, "httpx"):
        raise Unwritable("no async HTTP client (httpx) is among the project's dependencies")
    edits = Edits(spot.text)
    with_async_client(edits, spot, call)
    title = f"Ask with an async client in {_name(spot)}"
    return _draft(
        "httpx.AsyncClient",
        title,
        spot,
        edits,
        ["A client is made for each call: one for the application's life would keep its connections."],
        lower=1,
    )
