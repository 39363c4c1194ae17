"""CA204: a loop that reads one key a turn reads all keys by MGET before it; one that only writes goes into a pipeline.

Declined where the client can't be told to be redis-py's, on a cluster (its keys may lie on several nodes), where a key
hangs on what an earlier turn found, where a turn may end the loop, and where it writes other keys than its own.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import keys as keyed
from perfcrew.rules.fixes import sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import covers, names

_QUEUED = frozenset(["set", "setex", "psetex", "delete", "unlink", "expire", "pexpire", "hset", "sadd", "zadd", "incr"])
_ENDS = (ast.Break, ast.Return)
_FAILING = "A command that fails no longer keeps the later ones from being sent."
_TWICE = "A key that is asked for twice and missing is made twice: before, the second turn found what the first kept."
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp


class Words(NamedTuple):
    """Names that the function does not use yet."""

    asked: str
    keys: str
    values: str


def fix(case: Case) -> list[Fix | Declined]:
    """MGET for reads, a pipeline for writes: whichever the line is."""
    return attempt(case, "together", lambda: _together(case))


def _together(case: Case) -> Draft:
    spot = locate(case, case.finding.place)
    if spot.function is None:
        raise Unwritable("the round trips are not made within a function")
    loop = _loop(spot)
    if isinstance(loop, ast.For) and (queued := _queued(loop)):
        return _pipeline(case, spot, loop, queued)
    return _mget(case, spot, loop)


def _loop(spot: Spot) -> ast.For | Comprehension:
    """The innermost one around the line. Raises Unwritable for what is none, or goes on by itself."""
    kinds = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    assert spot.function is not None
    found = [n for n in ast.walk(spot.function) if isinstance(n, kinds) and covers(n, spot.line)]
    if not found:
        raise Unwritable("the line stands in no loop: its callers send one key at a time, give it many")
    loop = max(found, key=lambda n: (n.lineno, n.col_offset))
    if isinstance(loop, ast.AsyncFor | ast.While | ast.GeneratorExp):
        raise Unwritable("only `for` loops and comprehensions over what is there already can ask for all keys at once")
    if not isinstance(loop, ast.For) and (len(loop.generators) > 1 or loop.generators[0].is_async):
        raise Unwritable("a comprehension with several `for`")
    return loop


def _mget(case: Case, spot: Spot, loop: ast.For | Comprehension) -> Draft:
    call = _get(loop)
    keyed.check_client(case, spot, call)
    assert spot.function is not None
    words = Words(*(sight.free_name(spot.function, *w) for w in (("asked",), ("keys",), ("values", "found"))))
    edits = Edits(spot.text)
    if isinstance(loop, ast.For):
        _of_loop(edits, spot, loop, call, words)
    else:
        _of_comprehension(edits, spot, loop, call, words)
    title = f"Ask for all keys of {spot.function.name} in one round trip"
    more = (_TWICE,) if isinstance(loop, ast.For) and _writes(loop, call) else ()
    return Draft("MGET", title, {spot.file: edits.result()}, more)


def _get(loop: ast.AST) -> ast.Call:
    """The only `client.get(key)` of the loop."""
    found = [n for n in ast.walk(loop) if keyed.is_get(n)]
    if len(found) != 1 or not isinstance(found[0], ast.Call):
        raise Unwritable("the loop has no single `client.get(key)`: a wrapper around the client has to offer many keys")
    return found[0]


def _of_comprehension(edits: Edits, spot: Spot, loop: Comprehension, call: ast.Call, words: Words) -> None:
    turn = loop.generators[0]
    keyed.check_key(spot.text, call.args[0], names(turn.target, ast.Store))
    statement = _alone(spot, loop)
    target, over = edits.code(turn.target), edits.code(turn.iter)
    kept = "".join(f" if {edits.code(one)}" for one in turn.ifs)
    for one in turn.ifs:
        if any(isinstance(n, ast.Await) or keyed.is_get(n) for n in ast.walk(one)):
            raise Unwritable("which keys are asked for hangs on an answer")
    waits = _waiting(spot, call)
    value = sight.free_name(spot.function or loop, "value", "kept")
    whole = isinstance(loop, ast.ListComp) and loop.elt is waits
    source = over if whole else words.asked
    if not whole:
        edits.before(statement, f"{words.asked} = [{_in_pair(target)} for {target} in {over}{kept}]")
    picked = kept if whole else ""
    edits.before(statement, f"{words.keys} = [{edits.code(call.args[0])} for {target} in {source}{picked}]")
    edits.before(statement, _asking(edits, call, waits, words))
    if whole:
        edits.swap(loop, words.values)
        return
    pairs = f"for {_in_pair(target)}, {value} in zip({words.asked}, {words.values})"
    edits.swap(loop, _rebuilt(edits, loop, waits, value, pairs))


def _rebuilt(edits: Edits, loop: Comprehension, waits: ast.expr, value: str, pairs: str) -> str:
    def told(node: ast.expr) -> str:
        text, asked = edits.code(node), edits.code(waits)
        return text.replace(asked, value) if waits in ast.walk(node) else text

    if isinstance(loop, ast.DictComp):
        return f"{{{told(loop.key)}: {told(loop.value)} {pairs}}}"
    opened, closed = ("[", "]") if isinstance(loop, ast.ListComp) else ("{", "}")
    return f"{opened}{told(loop.elt)} {pairs}{closed}"


def _alone(spot: Spot, loop: Comprehension) -> ast.stmt:
    """The statement of the comprehension, where nothing of it is done before or only perhaps."""
    around = spot.around(loop)
    statement = next((n for n in around if isinstance(n, ast.stmt)), None)
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.Return | ast.Expr):
        raise Unwritable("the comprehension stands within a larger statement")
    within = around[: around.index(statement)]
    if any(isinstance(n, ast.IfExp | ast.BoolOp | ast.Lambda | ast.comprehension) for n in within):
        raise Unwritable("the comprehension is part of a condition")
    inner = set(ast.walk(loop))
    calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call) and n not in inner and n not in within]
    if any((n.lineno, n.col_offset) < (loop.lineno, loop.col_offset) for n in calls):
        raise Unwritable("another call of the statement comes before the comprehension")
    return statement


def _of_loop(edits: Edits, spot: Spot, loop: ast.For, call: ast.Call, words: Words) -> None:
    at = next((n for n, s in enumerate(loop.body) if call in ast.walk(s)), -1)
    statement, waits = loop.body[at], _waiting(spot, call)
    if not isinstance(statement, ast.Assign) or statement.value is not waits or len(statement.targets) != 1:
        raise Unwritable("the answer is not given a name of its own at the top of the loop")
    if not isinstance(statement.targets[0], ast.Name) or len(loop.body) == 1 or loop.orelse:
        raise Unwritable("the loop does more, or less, than to use the answer")
    before = {name: value for s in loop.body[:at] for name, value in keyed.plain_assignment(s)}
    key = before.get(call.args[0].id, call.args[0]) if isinstance(call.args[0], ast.Name) else call.args[0]
    keyed.check_key(spot.text, key, names(loop.target, ast.Store))
    _check_turn(loop, call, statement.targets[0].id)
    target = edits.code(loop.target)
    edits.before(loop, f"{words.asked} = list({edits.code(loop.iter)})")
    edits.before(loop, f"{words.keys} = [{edits.code(key)} for {target} in {words.asked}]")
    edits.before(loop, _asking(edits, call, waits, words))
    edits.swap(loop.target, f"{_in_pair(target)}, {statement.targets[0].id}")
    edits.swap(loop.iter, f"zip({words.asked}, {words.values})")
    edits.remove(statement)


def _check_turn(loop: ast.For, call: ast.Call, name: str) -> None:
    if any(isinstance(n, _ENDS) for s in loop.body for n in ast.walk(s)):
        raise Unwritable("a turn may end the loop: later keys might never have been asked for")
    changed = {n for s in loop.body for n in names(s, ast.Store)} & names(loop.iter, ast.Load)
    if changed - {name}:
        raise Unwritable(f"the loop changes `{sorted(changed)[0]}`, which it goes over")
    own = ast.unparse(call.args[0])
    for other in _writes(loop, call):
        if not other.args or ast.unparse(other.args[0]) != own:
            raise Unwritable("a turn writes other keys than its own, which a later turn may read")


def _writes(loop: ast.For, call: ast.Call) -> list[ast.Call]:
    """Other calls of the same client within the loop."""
    assert isinstance(call.func, ast.Attribute)
    client = ast.unparse(call.func.value)
    calls = [n for s in loop.body for n in ast.walk(s) if isinstance(n, ast.Call) and n is not call]
    return [n for n in calls if isinstance(n.func, ast.Attribute) and ast.unparse(n.func.value) == client]


def _asking(edits: Edits, call: ast.Call, waits: ast.expr, words: Words) -> str:
    """MGET of no key is an error."""
    assert isinstance(call.func, ast.Attribute)
    client = edits.code(call.func.value)
    wait = "await " if isinstance(waits, ast.Await) else ""
    return f"{words.values} = {wait}{client}.mget({words.keys}) if {words.keys} else []"


def _waiting(spot: Spot, call: ast.Call) -> ast.expr:
    """The call with its `await`, where it has one."""
    parent = spot.parents.get(call)
    return parent if isinstance(parent, ast.Await) else call


def _in_pair(target: str) -> str:
    bare = target.strip()
    return f"({bare})" if "," in bare and not bare.startswith("(") else bare


def _queued(loop: ast.For) -> list[ast.Call]:
    """The commands of a loop that does nothing but send them, answers unused; none where it does more."""
    found = []
    for statement in loop.body:
        if keyed.plain_assignment(statement):
            continue
        value = statement.value if isinstance(statement, ast.Expr) else None
        call = value.value if isinstance(value, ast.Await) else value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in _QUEUED:
            return []
        found.append(call)
    return found


def _pipeline(case: Case, spot: Spot, loop: ast.For, queued: list[ast.Call]) -> Draft:
    assert spot.function is not None
    clients = {ast.unparse(c.func.value) for c in queued if isinstance(c.func, ast.Attribute)}
    if len(clients) != 1:
        raise Unwritable("several clients are used in the loop")
    for call in queued:
        keyed.check_client(case, spot, call)
        if any(isinstance(n, ast.Await) for a in (*call.args, *(k.value for k in call.keywords)) for n in ast.walk(a)):
            raise Unwritable("what is written is waited for in the loop")
    if loop.orelse:
        raise Unwritable("the loop has an `else`")
    waits = isinstance(_waiting(spot, queued[0]), ast.Await)
    pipe = sight.free_name(spot.function, "pipe", "pipeline")
    edits = Edits(spot.text)
    for call in queued:
        assert isinstance(call.func, ast.Attribute)
        around = _waiting(spot, call)
        client, text = edits.code(call.func.value), edits.code(call)
        edits.swap(around, pipe + text.removeprefix(client))
    edits.enclose(
        loop,
        f"{'async ' if waits else ''}with {clients.pop()}.pipeline(transaction=False) as {pipe}:",
        f"{'await ' if waits else ''}{pipe}.execute()",
    )
    title = f"Send the commands of {spot.function.name} in one round trip"
    return Draft("pipeline", title, {spot.file: edits.result()}, (_FAILING,))
