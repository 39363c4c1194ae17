"""CA204: a loop that reads one key a turn reads all keys before it; one that only writes goes into a pipeline.

By MGET, by HMGET for fields of one hash, by a pipeline for other reads; Django's cache by `get_many`, `set_many` and
`delete_many`. Reads that `asyncio.gather` waits for together become one MGET too.

Declined where the client can't be told to be redis-py's, on a cluster (its keys may lie on several nodes), where a key
hangs on what an earlier turn found, where a turn may end the loop, and where it writes other keys than its own.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import imports, many_set, sight
from perfcrew.rules.fixes import keys as keyed
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import covers, dotted, names

_QUEUED = frozenset(
    {"set", "setex", "psetex", "setnx", "delete", "unlink", "expire", "pexpire", "persist", "hset", "hdel", "hincrby"}
    | {"sadd", "srem", "zadd", "zrem", "rpush", "lpush", "incr", "incrby", "decr", "decrby"}
)
_FILLING = frozenset({"set", "setex", "psetex", "setnx", "hset", "sadd", "expire", "aset"})
_ENDS = (ast.Break, ast.Return, ast.Yield, ast.YieldFrom)
_FAILING = "A command that fails no longer keeps the later ones from being sent."
_TWICE = "A key that is asked for twice and missing is made twice: before, the second turn found what the first kept."
_TYPES = "A key that holds no text is None to MGET: GET raised on it."
_SNAPSHOTS = frozenset(["range", "list", "sorted", "tuple", "set", "dict", "frozenset"])
_COMPUTING = frozenset(
    (
        *(
            "json.dumps",
            "orjson.dumps",
            "ujson.dumps",
            "pickle.dumps",
            "msgpack.packb",
            "len",
            "round",
            "float",
            "bool",
        ),
        *("bytes", "min", "max", "sum", "abs", "time.time", "datetime.timedelta", "dict", "list", "sorted"),
    )
)
"""Functions that values are made with, of which none asks or changes a server."""
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


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
    gathered = _gathered(spot)
    if gathered is not None:
        return _mget(spot, *gathered)
    loop = _loop(spot)
    if isinstance(loop, ast.For) and many_set.is_of_django(spot, loop):
        return many_set.together(spot, loop, _COMPUTING)
    if isinstance(loop, ast.For) and (queued := _queued(loop)):
        return _pipeline(spot, loop, queued)
    return _mget(spot, loop)


def _gathered(spot: Spot) -> tuple[ast.ListComp | ast.GeneratorExp, ast.Await] | None:
    """The reads of `await asyncio.gather(*(client.get(key) for key in keys))`, and all of it."""
    assert spot.function is not None
    for node in (n for n in ast.walk(spot.function) if isinstance(n, ast.Await) and covers(n, spot.line)):
        call = node.value
        if not isinstance(call, ast.Call) or imports.called(spot.text, call) != "asyncio.gather" or call.keywords:
            continue
        only = call.args[0] if len(call.args) == 1 else None
        loop = only.value if isinstance(only, ast.Starred) else None
        if isinstance(loop, (ast.ListComp, ast.GeneratorExp)) and keyed.is_get(loop.elt):
            if len(loop.generators) > 1 or loop.generators[0].is_async:
                raise Unwritable("a comprehension with several `for`")
            return loop, node
    return None


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


def _mget(spot: Spot, loop: ast.For | Comprehension, gathered: ast.Await | None = None) -> Draft:
    call = _get(loop)
    keyed.check_client(spot, call)
    assert spot.function is not None
    words = Words(*(sight.free_name(spot.function, *w) for w in (("asked",), ("keys",), ("values", "found"))))
    edits = Edits(spot.text)
    if isinstance(loop, ast.For):
        _of_loop(edits, spot, loop, call, words)
    else:
        _of_comprehension(edits, spot, loop, call, words, gathered)
    title = f"Ask for all keys of {spot.function.name} in one round trip"
    variant = _variant(spot, call)
    more = (
        *([_TYPES] if variant == "MGET" else []),
        *([_TWICE] if isinstance(loop, ast.For) and _writes(loop, call) else []),
    )
    return Draft(variant, title, {spot.file: edits.result()}, more)


def _variant(spot: Spot, call: ast.Call) -> str:
    """How all are asked for at once."""
    assert isinstance(call.func, ast.Attribute)
    if keyed.is_django(spot.text, call.func.value):
        return "get_many"
    if call.func.attr == "hget" and keyed.varying(call, _turned(spot, call)) is call.args[1]:
        return "HMGET"
    return "MGET" if call.func.attr == "get" else "pipeline"


def _turned(spot: Spot, call: ast.Call) -> frozenset[str]:
    """Names that the innermost loop around the call gives a value to."""
    loops = (ast.For, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    loop = next(n for n in spot.around(call) if isinstance(n, loops))
    return names(loop, ast.Store)


def _get(loop: ast.AST) -> ast.Call:
    """The only `client.get(key)` of the loop."""
    found = [n for n in ast.walk(loop) if isinstance(n, ast.Call) and keyed.is_get(n)]
    values = [n for n in found if isinstance(n.func, ast.Attribute) and n.func.attr in ("get", "aget")]
    found = values if len(values) == 1 else found
    if len(found) != 1 or not isinstance(found[0], ast.Call):
        raise Unwritable("the loop has no single `client.get(key)`: a wrapper around the client has to offer many keys")
    return found[0]


def _of_comprehension(
    edits: Edits, spot: Spot, loop: Comprehension, call: ast.Call, words: Words, gathered: ast.Await | None = None
) -> None:
    turn = loop.generators[0]
    key = keyed.varying(call, names(turn.target, ast.Store))
    _check_condition(spot, loop, call)
    _check_source(spot, loop, turn.iter)
    _check_helpers(spot, loop, [n for n in ast.walk(loop) if isinstance(n, ast.Call)], call)
    keyed.check_key(spot.text, key, names(turn.target, ast.Store))
    statement = _alone(spot, loop)
    target, over = edits.code(turn.target), edits.code(turn.iter)
    kept = "".join(f" if {edits.code(one)}" for one in turn.ifs)
    for one in turn.ifs:
        if any(isinstance(n, ast.Await) or keyed.is_get(n) for n in ast.walk(one)):
            raise Unwritable("which keys are asked for hangs on an answer")
    waits = _waiting(spot, call)
    value = sight.free_name(spot.function or loop, "value", "kept")
    whole = gathered is not None or (isinstance(loop, ast.ListComp) and loop.elt is waits)
    source = over if whole else words.asked
    if not whole:
        edits.before(statement, f"{words.asked} = [{_in_pair(target)} for {target} in {over}{kept}]")
    picked = kept if whole else ""
    edits.before(statement, f"{words.keys} = [{edits.code(key)} for {target} in {source}{picked}]")
    edits.before(statement, _asking(edits, spot, call, gathered or waits, key, words))
    if whole:
        edits.swap(gathered or loop, words.values)
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
    if any(not keyed.plain_assignment(s) for s in loop.body[:at]):
        raise Unwritable("a turn does more than to name things before it asks")
    before = {name: value for s in loop.body[:at] for name, value in keyed.plain_assignment(s)}
    changed = {n for s in loop.body for n in names(s, ast.Store)}
    asked = keyed.varying(call, changed | names(loop.target, ast.Store))
    key = before.get(asked.id, asked) if isinstance(asked, ast.Name) else asked
    keyed.check_key(spot.text, key, names(loop.target, ast.Store), changed)
    _check_source(spot, loop, loop.iter)
    _check_turn(loop, call, statement.targets[0].id)
    _check_helpers(spot, loop, [n for s in loop.body for n in ast.walk(s) if isinstance(n, ast.Call)], call)
    target = edits.code(loop.target)
    edits.before(loop, f"{words.asked} = list({edits.code(loop.iter)})")
    edits.before(loop, f"{words.keys} = [{edits.code(key)} for {target} in {words.asked}]")
    edits.before(loop, _asking(edits, spot, call, waits, asked, words))
    edits.swap(loop.target, f"{_in_pair(target)}, {statement.targets[0].id}")
    edits.swap(loop.iter, f"zip({words.asked}, {words.values})")
    edits.remove(statement)


def _check_turn(loop: ast.For, call: ast.Call, name: str) -> None:
    if any(isinstance(n, _ENDS) for s in loop.body for n in ast.walk(s)):
        raise Unwritable("a turn may end the loop: later keys might never have been asked for")
    changed = {n for s in loop.body for n in names(s, ast.Store)} & names(loop.iter, ast.Load)
    if changed - {name}:
        raise Unwritable(f"the loop changes `{sorted(changed)[0]}`, which it goes over")
    own = [ast.unparse(a) for a in call.args]
    for other in _writes(loop, call):
        if [ast.unparse(a) for a in other.args[: len(own)]] != own:
            raise Unwritable("a turn writes other keys than its own, which a later turn may read")
        if not keyed.is_get(other) and not _fills(loop, other, name):
            raise Unwritable("a turn writes its key whatever it found: a key that comes twice would end up as another")


def _fills(loop: ast.For, write: ast.Call, name: str) -> bool:
    """Whether the write is done only where nothing was found, and puts the whole of it there."""
    if not isinstance(write.func, ast.Attribute) or write.func.attr not in _FILLING:
        return False
    tests = [n.test for n in ast.walk(loop) if isinstance(n, ast.If) and any(write in ast.walk(s) for s in n.body)]
    return any(ast.unparse(t) in (f"{name} is None", f"not {name}") for t in tests)


def _check_condition(spot: Spot, loop: Comprehension, call: ast.Call) -> None:
    """Raises Unwritable where not each turn of a comprehension asks, or where it keeps something under a name."""
    if any(isinstance(n, ast.NamedExpr) for n in ast.walk(loop)):
        raise Unwritable("the comprehension gives a name to something on the way")
    around = spot.around(call)
    within = around[: around.index(loop)]
    if any(isinstance(n, ast.IfExp | ast.BoolOp | ast.Compare | ast.Lambda | ast.comprehension) for n in within):
        raise Unwritable("not every turn asks: the answer is part of a condition")


def _check_source(spot: Spot, loop: ast.For | Comprehension, over: ast.expr) -> None:
    """Raises Unwritable where what is gone over may have no end, or changes under way."""
    text, root = spot.text, names(over, ast.Load)
    made = [n for n in ast.walk(over) if isinstance(n, ast.Call)]
    assert spot.function is not None
    for node in ast.walk(spot.function):
        if isinstance(node, ast.Assign) and any(names(t, ast.Store) & root for t in node.targets):
            made += [n for n in ast.walk(node.value) if isinstance(n, ast.Call)]
    for one in made:
        full = imports.full_name(text, dotted(one.func)) if dotted(one.func) else ""
        function = text.function_named(full)
        yields = function is not None and any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(function))
        if full.startswith("itertools.") or full == "iter" or yields:
            raise Unwritable(f"`{ast.unparse(over)}` may have no end, or be made as it is gone over")
    if isinstance(loop, ast.For) and not (isinstance(over, ast.Call) and dotted(over.func) in _SNAPSHOTS):
        _check_unchanged(loop, over)


def _check_unchanged(loop: ast.For, over: ast.expr) -> None:
    roots = {ast.unparse(n) for n in ast.walk(over) if isinstance(n, ast.Name | ast.Attribute)}
    for node in (n for s in loop.body for n in ast.walk(s)):
        called = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        given = [*node.args, *(k.value for k in node.keywords)] if isinstance(node, ast.Call) else []
        put = node.value if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) else None
        if any(one is not None and ast.unparse(one) in roots for one in (called, put, *given)):
            raise Unwritable(f"a turn may change `{ast.unparse(over)}`, which the loop goes over")


def _check_helpers(spot: Spot, loop: ast.AST, calls: list[ast.Call], call: ast.Call) -> None:
    """Raises Unwritable where what a turn calls may write keys that a later turn reads."""
    assert isinstance(call.func, ast.Attribute)
    client, keys = ast.unparse(call.func.value), {ast.unparse(a) for a in call.args if not isinstance(a, ast.Constant)}
    for one in calls:
        owner = ast.unparse(one.func.value) if isinstance(one.func, ast.Attribute) else ""
        if one is call or owner == client:
            continue
        name = dotted(one.func).rpartition(".")[2]
        function = spot.text.function_named(name)
        if function is not None and _names_it(function, client):
            raise Unwritable(f"`{name}` may write what a later turn reads")
        given = {ast.unparse(n) for n in (*one.args, *(k.value for k in one.keywords))}
        if given & {client, *keys}:
            raise Unwritable(f"`{ast.unparse(one.func)}` is handed the client, or the key")


def _names_it(function: ast.AST, client: str) -> bool:
    """Whether it uses the client, under its last name."""
    last = client.rpartition(".")[2]
    return any(
        (isinstance(n, ast.Name) and n.id == last) or (isinstance(n, ast.Attribute) and n.attr == last)
        for n in ast.walk(function)
    )


def _writes(loop: ast.For, call: ast.Call) -> list[ast.Call]:
    """Other calls of the same client within the loop."""
    assert isinstance(call.func, ast.Attribute)
    client = ast.unparse(call.func.value)
    calls = [n for s in loop.body for n in ast.walk(s) if isinstance(n, ast.Call) and n is not call]
    return [n for n in calls if isinstance(n.func, ast.Attribute) and ast.unparse(n.func.value) == client]


def _asking(edits: Edits, spot: Spot, call: ast.Call, waits: ast.expr, key: ast.expr, words: Words) -> str:
    """What asks for all; MGET and HMGET of nothing are errors."""
    assert isinstance(call.func, ast.Attribute)
    client, method = edits.code(call.func.value), call.func.attr
    wait, variant = "await " if isinstance(waits, ast.Await) else "", _variant(spot, call)
    if variant == "get_many":
        many = f"{'a' if method == 'aget' else ''}get_many"
        kept = sight.free_name(spot.function or call, "kept", "found_by_key")
        each = f"{words.values} = [{kept}.get(key) for key in {words.keys}]"
        return f"{kept} = {wait}{client}.{many}({words.keys})\n{each}"
    if variant == "pipeline":
        pipe = sight.free_name(spot.function or call, "pipe", "pipeline")
        one = sight.free_name(spot.function or call, "key", "one_key")
        given = ", ".join(one if a is key else edits.code(a) for a in call.args)
        return (
            f"{'async ' if wait else ''}with {client}.pipeline(transaction=False) as {pipe}:\n"
            f"    for {one} in {words.keys}:\n        {pipe}.{method}({given})\n"
            f"    {words.values} = {wait}{pipe}.execute()"
        )
    many = f"mget({words.keys})" if variant == "MGET" else f"hmget({edits.code(call.args[0])}, {words.keys})"
    return f"{words.values} = {wait}{client}.{many} if {words.keys} else []"


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


def _pipeline(spot: Spot, loop: ast.For, queued: list[ast.Call]) -> Draft:
    assert spot.function is not None
    clients = {ast.unparse(c.func.value) for c in queued if isinstance(c.func, ast.Attribute)}
    if len(clients) != 1:
        raise Unwritable("several clients are used in the loop")
    for call in queued:
        keyed.check_client(spot, call)
        if any(isinstance(n, ast.Await) for a in (*call.args, *(k.value for k in call.keywords)) for n in ast.walk(a)):
            raise Unwritable("what is written is waited for in the loop")
    _check_values(spot, loop, queued, clients)
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


def _check_values(spot: Spot, loop: ast.For, queued: list[ast.Call], clients: set[str]) -> None:
    """Raises Unwritable where what is written, or which keys are, may hang on what was written before."""
    for call in queued:
        for given in (*call.args, *(k.value for k in call.keywords)):
            for node in (n for n in ast.walk(given) if isinstance(n, ast.Call)):
                if any(ast.unparse(n) in clients for n in ast.walk(node) if isinstance(n, ast.expr)):
                    raise Unwritable("what is written hangs on an answer of the same client")
                keyed.check_call(spot.text, node, _COMPUTING)
    for node in (n for n in ast.walk(loop.iter) if isinstance(n, ast.Call)):
        function = spot.text.function_named(dotted(node.func).rpartition(".")[2])
        if function is not None and any(_names_it(function, client) for client in clients):
            raise Unwritable("what the loop goes over may hang on what it writes")
