"""Writes a group of independent calls so that they wait at the same time."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import libcst as cst

from perfcrew.rules.fixes import imports, sight
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.gathering import Argument, Group, Member, awaits_in, joined, keyword_name
from perfcrew.rules.fixes.places import Spot


def gather(edits: Edits, group: Group, width: int) -> None:
    """`a, b = await asyncio.gather(f(), g())` in place of the group."""
    asyncio = imports.bring(edits, "asyncio")
    arguments = [_argument(edits, m) for m in group.members]
    left = ", ".join(m.target for m in group.members) + " = "
    indent = group.members[0].statement.col_offset
    _write(edits, group, joined(f"{left}await {asyncio}.gather(", arguments, ")", indent, width))


def task_group(edits: Edits, spot: Spot, group: Group) -> None:
    """Tasks of one `asyncio.TaskGroup` in place of the group."""
    asyncio = imports.bring(edits, "asyncio")
    tasks = sight.free_name(_scope(spot), "tasks", "task_group")
    lines = [f"async with {asyncio}.TaskGroup() as {tasks}:"]
    results: list[str] = []
    for member in group.members:
        call = _argument(edits, member)
        lines += [f"    {comment}" for comment in call.above]
        beside = f"  {call.beside}" if call.beside else ""
        name = sight.free_name(_scope(spot), f"{member.target.strip('()').split(',')[0]}_task")
        lines.append(f"    {name} = {tasks}.create_task({call.code}){beside}")
        results.append(f"{member.target} = {name}.result()")
    _write(edits, group, "\n".join([*lines, *results]))


def in_threads(edits: Edits, spot: Spot, group: Group) -> None:
    """The calls of sync code, each in a thread of a pool that ends with the block."""
    pool_class = imports.bring(edits, "concurrent.futures", "ThreadPoolExecutor")
    pool, calls = sight.free_name(_scope(spot), "pool"), sight.free_name(_scope(spot), "calls")
    lines = [f"with {pool_class}(max_workers={min(len(group.members), 8)}) as {pool}:", f"    {calls} = ["]
    for member in group.members:
        call = _argument(edits, member)
        lines += [f"        {comment}" for comment in call.above]
        lines.append(f"        {pool}.submit(lambda: {call.code}),{'  ' + call.beside if call.beside else ''}")
    lines.append("    ]")
    targets = ", ".join(m.target for m in group.members)
    _write(edits, group, "\n".join([*lines, f"{targets} = (call.result() for call in {calls})"]))


def in_expression(edits: Edits, spot: Spot, statement: ast.stmt, waits: list[ast.Await], width: int) -> None:
    """`return Page(a=await f(), b=await g())`: gathered above the statement, which then uses the names."""
    asyncio = imports.bring(edits, "asyncio")
    taken: list[str] = []
    for node, usual in zip(waits, ("first", "second", "third", "fourth"), strict=False):
        name = sight.free_name(_scope(spot), keyword_name(spot, node) or usual)
        taken.append(name if name not in taken else f"{name}_{len(taken)}")
    if len(taken) < len(waits):
        raise Unwritable("more than four awaits in one expression: give them names first")
    calls = [Argument(edits.code(n.value)) for n in waits]
    line = joined(f"{', '.join(taken)} = await {asyncio}.gather(", calls, ")", statement.col_offset, width)
    kept = edits.statement(statement).leading_lines
    (new,) = edits.parse(line)
    for node, name in zip(waits, taken, strict=True):
        edits.swap(node, name)

    def put(old: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        return cst.FlattenSentinel([new.with_changes(leading_lines=kept), _bare(old)])

    edits.change(statement, put)


def _bare(node: cst.CSTNode) -> cst.CSTNode:
    return node.with_changes(leading_lines=[])


def _scope(spot: Spot) -> ast.AST:
    return spot.function or spot.text.tree


def _awaited(member: Member) -> ast.expr:
    return member.waits.value if isinstance(member.waits, ast.Await) else member.waits


def _argument(edits: Edits, member: Member) -> Argument:
    """The call with the comments that stand above and beside its statement."""
    statement = edits.statement(member.statement)
    above = [line.comment.value for line in statement.leading_lines if line.comment]
    trailing = statement.trailing_whitespace if isinstance(statement, cst.SimpleStatementLine) else None
    beside = trailing.comment.value if trailing and trailing.comment else ""
    return Argument(edits.code(_awaited(member)), above, beside)


def _write(edits: Edits, group: Group, code: str) -> None:
    """The group's statements in their new order, in place of its first member."""
    head = group.members[0].statement
    parts = [*(_text(edits, s) for s in group.first), code, *_rest(edits, group)]
    edits.replace(head, "\n".join(parts), leading=_blank_only(edits, head))
    for statement in [*(m.statement for m in group.members[1:]), *group.first, *group.last]:
        edits.remove(statement)


def _blank_only(edits: Edits, statement: ast.stmt) -> list[cst.EmptyLine]:
    """Comments above a member go with its call."""
    return [line for line in edits.statement(statement).leading_lines if not line.comment]


def _text(edits: Edits, statement: ast.stmt) -> str:
    return edits.code(statement).strip("\n")


def _rest(edits: Edits, group: Group) -> Iterable[str]:
    """What is done with the answers, in its old order."""
    more = [(m.statement.lineno, _with_name(edits, m)) for m in group.members if m.rest]
    more += [(s.lineno, _text(edits, s)) for s in group.last]
    return [code for _, code in sorted(more)]


def _with_name(edits: Edits, member: Member) -> str:
    """The member's statement with the answer's name in place of the await."""
    statement = edits.statement(member.statement)
    (found,) = awaits_in(member.statement)
    bare = statement.with_changes(leading_lines=[], trailing_whitespace=cst.TrailingWhitespace())
    changed = bare.deep_replace(edits.expression(found), cst.Name(member.target))
    if not isinstance(changed, cst.SimpleStatementLine):
        raise Unwritable(f"line {member.statement.lineno} can't be taken apart")
    return edits.module.code_for_node(changed).strip()
