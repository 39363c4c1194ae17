"""Keeps a function's answer in the cache that the project has: Redis by its own client, or Django's.

Under a key of the function's name, its arguments, the database's address and the shape of what is kept, for a bounded
time; a write that is known makes all keys anew, so that an answer which was being read meanwhile is not found later. A
cache that does not answer is no error: the answer is read as before.

Only answers that are the same after JSON: plain values, and pydantic's models that say no more than their fields.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from perfcrew.rules.fixes import answered, imports, keepable, lifetime, makers, models, project, sight
from perfcrew.rules.fixes import keys as keyed
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.keepable import Keepable, Writer
from perfcrew.rules.fixes.keys import Client
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import Function, dotted

_PLAIN = frozenset({"int", "str", "float", "bool"})
_IN_ITS_OWN_WAY = re.compile(
    r"alias|validator|serializer|computed_field|exclude|PrivateAttr|forbid|strict|\bAny\b|\bobject\b|orm_mode"
    r"|Union|Generic|discriminator|Secret"
)
_WRITING_CLASSES = re.compile(
    r"(ModelViewSet|Create\w*View|Update\w*View|De(lete|stroy)\w*View|FormView|ModelForm|ModelAdmin)$"
)
_CLASS = '''
class {name}:
    """Answers in Redis for a bounded time, for all processes; without it they are read as ever."""

    def __init__(self, name: str, seconds: int{of}) -> None:
{init}
    {def_} key(self, client: {client}, *parts: {object}) -> str:
        try:
            written = int({await_}client.get(f"{{self._name}}:written") or 0)
            return f"{{self._name}}:{{written}}:{{{json}.dumps(parts)}}"
        except ({error}, TypeError, ValueError):
            return ""

    {def_} get(self, client: {client}, key: str) -> {any}:
        try:
            kept = {await_}client.get(key) if key else None
            return {load} if kept is not None else None
        except ({error}, ValueError):
            return None

    {def_} put(self, client: {client}, key: str, value: {any}) -> None:
        try:
            if key:
                {await_}client.set(key, {dump}, ex=self._seconds)
        except ({error}, TypeError, ValueError):
            pass

    {def_} forget(self, client: {client}) -> None:
        try:
            {await_}client.incr(f"{{self._name}}:written")
        except {error}:
            pass


{kept} = {name}("{key}", {seconds}{answer})
'''
_INIT = {
    "plain": '        self._name, self._seconds = f"{name}:v1", seconds\n',
    "model": (
        "        self._answer, self._seconds = {adapter}(answer), seconds\n"
        "        shape = {json}.dumps(self._answer.json_schema(), sort_keys=True).encode()\n"
        '        self._name = f"{{name}}:{{{hashlib}.sha256(shape).hexdigest()[:8]}}"\n'
    ),
}
_OLD = "Answers are up to {seconds} s old, the same for all processes; several may renew one at the same time."
_TRIPS = "Each read pays two round trips to the cache, and what is kept takes its memory."
_DOWN = "Where Django's cache does not answer, reading raises what its backend raises."
_UNSEEN = "No write to {tables} was found in the application: what others write shows {seconds} s later at most."


class _Words(NamedTuple):
    key: str
    found: str
    answer: str


def several_processes(start: Sequence[str]) -> bool:
    """Whether the target is started with more than one worker."""
    words = [w for part in start for w in re.split(r"[=\s]", part)]
    pairs = itertools.pairwise(words)
    return any(a in ("--workers", "-w", "--processes") and b.isdigit() and int(b) > 1 for a, b in pairs)


def kept(case: Case) -> Draft:
    """Raises Unwritable with what speaks against it."""
    spot = locate(case, case.finding.place)
    if spot.function is None:
        raise Unwritable("the rows are not read within a function, whose answer could be kept")
    known = models.read(case.root)
    django = case.app.project.framework == "django"
    if django:
        _refuse_unseen(case, known)
    client = None if django else _client(case, spot, spot.function)
    what = keepable.keepable(case, spot, known, shared=True)
    shape = _shape(case, spot.function)
    writers = keepable.writers(case, spot, known)
    seconds = lifetime.seconds(case, told=bool(writers))
    edits = Edits(spot.text)
    if client is None:
        _in_django(edits, spot, spot.function, what, writers, shape, seconds)
    else:
        _in_redis(case, edits, spot, spot.function, what, writers, client, shape, seconds)
    title = f"Keep the answer of {spot.function.name} for {seconds} s in the cache that is shared"
    variant = "kept in Redis" if client else "kept in Django's cache"
    files, risks = {spot.file: edits.result()}, _risks(case, writers, django, seconds)
    return Draft(variant, title, files, risks, ttl_s=seconds, pays=("cache.round_trips",))


def _risks(case: Case, writers: list[Writer], django: bool, seconds: int) -> tuple[str, ...]:
    named = ", ".join(f"`{t}`" for t in sorted(keepable.tables_of(case)))
    unseen = () if writers else (_UNSEEN.format(tables=named, seconds=seconds),)
    old = f"{_OLD.format(seconds=seconds)} {lifetime.said(case)}"
    return (old, _TRIPS, *((_DOWN,) if django else ()), *unseen)


def _refuse_unseen(case: Case, known: models.Models) -> None:
    """Raises Unwritable where forms, generic views or the admin write to what is read."""
    read = keepable.tables_of(case)
    classes = {m.name for m in known if m.table in read}
    for text in project.sources(case.root):
        for node in text.tree.body:
            writing = isinstance(node, ast.ClassDef) and any(_WRITING_CLASSES.search(dotted(b)) for b in node.bases)
            admin = isinstance(node, ast.Expr) and ast.unparse(node).startswith("admin.site.register")
            said = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & classes
            if said and (writing or admin) and not project.is_test(case.root, text.path):
                where = text.path.relative_to(case.root).as_posix()
                raise Unwritable(f"{where} writes to `{min(said)}` by forms: that would not drop what is kept")


def _client(case: Case, spot: Spot, function: Function) -> Client:
    """The function's own, else the project's only one of the function's colour."""
    waits = isinstance(function, ast.AsyncFunctionDef)
    given = keyed.clients_given(spot.text, function)
    texts = [t for t in project.sources(case.root) if not project.is_test(case.root, t.path)]
    found = given or [c for t in texts if re.search("redis|valkey", t.text) for c in keyed.clients_of(t)]
    fitting = [c for c in found if c.is_async == waits]
    if len(fitting) != 1:
        kind = "async" if waits else "sync"
        raise Unwritable(
            f"the project has {len(fitting) or 'no'} {kind} client{'s' * (len(fitting) > 1)} of Redis in reach"
        )
    return fitting[0]


def _shape(case: Case, function: Function) -> str:
    """`plain` or `model`. Raises Unwritable for an answer that is another one after JSON."""
    assert function.returns is not None
    found = set[str]()
    _look(case, function.returns, found)
    if "model" in found:
        for text in project.sources(case.root):
            if re.search(r"exclude_unset|exclude_defaults", text.text) and not project.is_test(case.root, text.path):
                raise Unwritable("answers leave out fields that were not set: after JSON all of them are")
    return "model" if "model" in found else "plain"


def _look(case: Case, node: ast.expr, found: set[str]) -> None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        _look(case, ast.parse(node.value, mode="eval").body, found)
    elif isinstance(node, ast.BinOp) and "None" in (ast.unparse(node.left), ast.unparse(node.right)):
        _look(case, node.left if ast.unparse(node.right) == "None" else node.right, found)
    elif isinstance(node, ast.Subscript) and dotted(node.value) in ("list", "List"):
        _look(case, node.slice, found)
    elif (
        isinstance(node, ast.Subscript) and dotted(node.value) in ("dict", "Dict") and isinstance(node.slice, ast.Tuple)
    ):
        if ast.unparse(node.slice.elts[0]) != "str":
            raise Unwritable("a dict has keys that JSON turns into text")
        _look(case, node.slice.elts[1], found)
    elif dotted(node) in _PLAIN:
        found.add("plain")
    elif dotted(node) and isinstance(node, (ast.Name, ast.Attribute)):
        _look_at_model(case, last(dotted(node)), found, set())
    else:
        raise Unwritable(f"`{ast.unparse(node)}` may be another one after JSON")


def _look_at_model(case: Case, name: str, found: set[str], seen: set[str]) -> None:
    seen.add(name)
    for node in answered.lineage(case.root, name):
        odd = _IN_ITS_OWN_WAY.search(ast.unparse(node))
        if odd:
            raise Unwritable(f"`{node.name}` has `{odd.group()}`: it may be another one after JSON")
        if any(isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef)) and s.decorator_list for s in node.body):
            raise Unwritable(f"`{node.name}` has decorated methods: it may be another one after JSON")
        for field in (s for s in node.body if isinstance(s, ast.AnnAssign)):
            _look_at_field(case, node.name, field.annotation, found, seen)
    found.add("model")


def _look_at_field(case: Case, owner: str, said: ast.expr, found: set[str], seen: set[str]) -> None:
    for part in ast.walk(said):
        if isinstance(part, ast.BinOp) and "None" not in (ast.unparse(part.left), ast.unparse(part.right)):
            raise Unwritable(f"a field of `{owner}` may be of several types: which one is lost in JSON")
        inner = part.id if isinstance(part, ast.Name) else ""
        other = project.class_named(case.root, inner) if inner and inner not in seen else None
        if other is not None and not any(last(dotted(b)).endswith("Enum") for b in other.bases):
            _look_at_model(case, inner, found, seen)


def _in_redis(
    case: Case,
    edits: Edits,
    spot: Spot,
    function: Function,
    what: Keepable,
    writers: list[Writer],
    client: Client,
    shape: str,
    seconds: int,
) -> None:
    waits = "await " if client.is_async else ""
    name = sight.free_name(spot.text.tree, f"_{function.name.strip('_')}_shared")
    called = _named(case, edits, spot, function, client)
    _define(edits, spot, function, client, name, shape, _prefix(case, function), seconds)
    key = ", ".join([called, *what.key])
    words = _words(function)
    _look_up(
        edits, function, what, words,
        f"{words.key} = {waits}{name}.key({key})",
        f"{waits}{name}.get({called}, {words.key})",
        f"{waits}{name}.put({called}, {words.key}, {words.answer})",
    )  # fmt: skip
    for writer in writers:
        own = _named(case, edits, spot, writer.function, client)
        if client.is_async != isinstance(writer.function, ast.AsyncFunctionDef):
            raise Unwritable(f"`{writer.function.name}` writes to what is read, and can't wait for the client")
        edits.after(writer.commit, f"{waits}{name}.forget({own})")


def _named(case: Case, edits: Edits, spot: Spot, function: Function, client: Client) -> str:
    """How a function calls the client. Raises Unwritable where it has none."""
    given = [c.name for c in keyed.clients_given(spot.text, function)]
    if client.name in sight.parameters(spot.function) if spot.function else False:
        if len(given) != 1:
            raise Unwritable(f"`{function.name}` writes to what is read, and has no client of Redis")
        return given[0]
    found = makers.named_in(edits, case.root, makers.Maker(client.text, client.name))
    own = sight.parameters(function) | {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and not _loads(n)}
    if found in own:
        raise Unwritable(f"`{function.name}` has another `{found}`")
    return found


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _prefix(case: Case, function: Function) -> str:
    return f"{re.sub(r'[^a-z0-9]+', '-', case.app.project.name.lower())}:{function.name}"


def _define(
    edits: Edits, spot: Spot, function: Function, client: Client, kept: str, shape: str, prefix: str, seconds: int
) -> None:
    of_type = "Valkey" if client.package == "valkey" else "Redis"
    module = f"{client.package}.asyncio" if client.is_async and client.package != "aioredis" else client.package
    names = {
        "json": imports.bring(edits, "json"),
        "any": imports.bring(edits, "typing", "Any"),
        "client": imports.bring(edits, module, of_type),
        "error": imports.bring(edits, f"{client.package}.exceptions", f"{of_type}Error"),
        "object": "object",
    }
    if shape == "model":
        names |= {
            "adapter": imports.bring(edits, "pydantic", "TypeAdapter"),
            "hashlib": imports.bring(edits, "hashlib"),
        }
    init = _INIT[shape].format(**names) if shape == "model" else _INIT[shape]
    load, dump = ("self._answer.validate_json(kept)", "self._answer.dump_json(value)") if shape == "model" else (
        f"{names['json']}.loads(kept)", f"{names['json']}.dumps(value)"
    )  # fmt: skip
    assert function.returns is not None
    said = ast.unparse(_annotation(function.returns))
    if shape == "model":
        _refuse_unbound(spot, function, function.returns)
    answer, of = (f", {said}", f", answer: {names['any']}") if shape == "model" else ("", "")
    def_, await_ = ("async def", "await ") if client.is_async else ("def", "")
    code = _CLASS.format(
        name="_Shared", kept=kept, key=prefix, seconds=seconds, init=init, load=load, dump=dump, answer=answer, of=of,
        def_=def_, await_=await_, **names,
    )  # fmt: skip
    known = any(isinstance(s, ast.ClassDef) and s.name == "_Shared" for s in spot.text.tree.body)
    if known:
        raise Unwritable("the module has a `_Shared` of its own: another answer is kept there by now")
    above = next(s for s in spot.text.tree.body if any(n is function for n in ast.walk(s)))
    edits.before(above, "\n" + code.rstrip(), apart=False)


def _annotation(said: ast.expr) -> ast.expr:
    """Out of its quotes."""
    quoted = isinstance(said, ast.Constant) and isinstance(said.value, str)
    return ast.parse(ast.literal_eval(said), mode="eval").body if quoted else said


def _refuse_unbound(spot: Spot, function: Function, said: ast.expr) -> None:
    """Raises Unwritable where a name of the annotation is not there when the module runs, as by TYPE_CHECKING."""
    tree = _annotation(said)
    bound = {a.asname or a.name for s in imports.top(spot.text) for a in s.names}
    bound |= {s.name for s in spot.text.tree.body if isinstance(s, ast.ClassDef) and s.lineno < function.lineno}
    late = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id not in bound | {"list", "dict"}]
    if late:
        raise Unwritable(f"`{late[0]}` is not known yet where `{function.name}` is made")


def _words(function: Function) -> _Words:
    return _Words(
        sight.free_name(function, "key", "kept_as"),
        sight.free_name(function, "known", "found"),
        sight.free_name(function, "answer", "value"),
    )


def _look_up(edits: Edits, function: Function, what: Keepable, words: _Words, key: str, get: str, put: str) -> None:
    body = [s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    edits.before(body[0], f"{key}\n{words.found} = {get}\nif {words.found} is not None:\n    return {words.found}")
    assert what.final.value is not None
    edits.replace(what.final, f"{words.answer} = {edits.code(what.final.value)}\n{put}\nreturn {words.answer}")


def _in_django(
    edits: Edits, spot: Spot, function: Function, what: Keepable, writers: list[Writer], shape: str, seconds: int
) -> None:
    if isinstance(function, ast.AsyncFunctionDef) or shape != "plain":
        raise Unwritable("in Django only plain answers of sync functions are kept by rule")
    cache = imports.bring(edits, "django.core.cache", "cache")
    json, hashlib = imports.bring(edits, "json"), imports.bring(edits, "hashlib")
    words, name = _words(function), f"{spot.file.removesuffix('.py').replace('/', '.')}.{function.name}"
    written = f'{cache}.get("{name}:written", 0)'
    parts = ", ".join([*([written] if writers else []), *what.key])
    digest = f"{hashlib}.sha256({json}.dumps([{parts}]).encode()).hexdigest()"
    _look_up(
        edits, function, what, words,
        f'{words.key} = "{name}:v1:" + {digest}',
        f"{cache}.get({words.key})",
        f"{cache}.set({words.key}, {words.answer}, {seconds})",
    )  # fmt: skip
    if not writers:
        return
    uuid, commit = imports.bring(edits, "uuid", "uuid4"), imports.bring(edits, "django.db", "transaction")
    forget = sight.free_name(spot.text.tree, f"_forget_{function.name.strip('_')}")
    above = next(s for s in spot.text.tree.body if any(n is function for n in ast.walk(s)))
    edits.before(
        above, f'\ndef {forget}() -> None:\n    {cache}.set("{name}:written", {uuid}().hex, None)\n', apart=False
    )
    for writer in writers:
        edits.after(writer.commit, f"{commit}.on_commit({forget})")
