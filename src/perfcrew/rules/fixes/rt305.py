"""RT305: what a start does in vain, done when it is first needed: a table made by a cached function, an import inside
the functions that use it.

Declined where the name is needed at import after all (decorators, bases, defaults, annotations that a framework
reads), where other modules take it from here, and where the import is there for what it does.
"""

from __future__ import annotations

import ast
import re

import libcst as cst

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules import modules, source
from perfcrew.rules.fixes import imports, project
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import Function, covers, names

_FIRST = (
    "The first request that needs it waits for it; in async code everybody waits: ask for it once in the background."
)
_REGISTERS = re.compile(
    r"__tablename__|\bmodels\.Model\b|DeclarativeBase|^\s*@(\w+\.)*(receiver|register|task|shared_task)", re.M
)


def fix(case: Case) -> list[Fix | Declined]:
    """The work by a cached function, and the import where it is used."""
    return attempt(case, "late", lambda: _accessor(case), lambda: _lazy_import(case))


def _at_module_level(spot: Spot) -> ast.stmt:
    found = next((s for s in spot.text.tree.body if covers(s, spot.line)), None)
    if found is None:
        raise Unwritable(f"line {spot.line} of {spot.file} is not at the module's top level")
    return found


def _accessor(case: Case) -> Draft:
    spot = locate(case, case.finding.place)
    statement = _at_module_level(spot)
    name, value = _assigned(statement)
    uses = _uses(spot, name)
    _only_in_functions(case, spot, name, uses)
    edits = Edits(spot.text)
    accessor = _free(spot, name)
    functools = imports.bring(edits, "functools")
    returns = f" -> {ast.unparse(statement.annotation)}" if isinstance(statement, ast.AnnAssign) else ""
    body = _indent(f"return {edits.code(value)}")
    comments = [line for line in edits.statement(statement).leading_lines if line.comment]
    blank = cst.EmptyLine(indent=False)
    code = f"@{functools}.cache\ndef {accessor}(){returns}:\n{body}"
    edits.replace(statement, code, leading=[blank, blank, *comments])
    _two_blank_lines_below(edits, spot, statement)
    for use in uses:
        edits.swap(use, f"{accessor}()")
    title = f"Make {name} when it is first needed"
    return Draft("cached function", title, {spot.file: edits.result()}, (_FIRST,))


def _assigned(statement: ast.stmt) -> tuple[str, ast.expr]:
    """The name and the value of the work. Raises Unwritable for anything but one name given one value."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        raise Unwritable(
            "the work at import is no value that is given to one name: move it into a function that is called when it "
            "is needed, or write its result to a file when the package is built"
        )
    if not isinstance(target, ast.Name) or any(isinstance(n, (ast.NamedExpr, ast.Await)) for n in ast.walk(value)):
        raise Unwritable("the work at import is given to more than one name")
    return target.id, value


def _uses(spot: Spot, name: str) -> list[ast.Name]:
    return [
        n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)
    ]


def _only_in_functions(case: Case, spot: Spot, name: str, uses: list[ast.Name]) -> None:
    """Raises Unwritable where the name is needed at import, changed, or taken by other modules."""
    if not uses:
        raise Unwritable(f"`{name}` is not used in its own module")
    nodes = list(ast.walk(spot.text.tree))
    stores = [n for n in nodes if isinstance(n, ast.Name) and n.id == name and not isinstance(n.ctx, ast.Load)]
    if len(stores) > 1 or any(isinstance(n, ast.Global) and name in n.names for n in nodes):
        raise Unwritable(f"`{name}` is given another value elsewhere")
    early = next((n for n in uses if _function_around(spot, n) is None), None)
    if early is not None:
        raise Unwritable(f"`{name}` is needed at import, on line {early.lineno}")
    _not_elsewhere(case, spot, name)


def _not_elsewhere(case: Case, spot: Spot, name: str) -> None:
    other = project.used_elsewhere(case.root, spot.text.path, name)
    if other is not None:
        raise Unwritable(f"{other} takes `{name}` from {spot.file}")
    listed = (n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Constant) and n.value == name)
    if next(listed, None) is not None:
        raise Unwritable(f"`{name}` is named by its text in {spot.file}, perhaps in `__all__`")


def _function_around(spot: Spot, node: ast.AST) -> Function | None:
    """The outermost function whose body, not its head, holds the node."""
    found: Function | None = None
    child = node
    while child in spot.parents:
        parent = spot.parents[child]
        if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)) and child in parent.body:
            found = parent
        child = parent
    return found


def _free(spot: Spot, name: str) -> str:
    used = names(spot.text.tree, ast.Load) | names(spot.text.tree, ast.Store) | {f.name for f in spot.text.functions}
    used |= {n.arg for n in ast.walk(spot.text.tree) if isinstance(n, ast.arg)}
    lower = name.lower()
    wanted = (lower, f"{lower}_table", f"make_{lower.lstrip('_')}", f"{lower}_when_needed")
    free = [w for w in wanted if w not in used]
    if not free:
        raise Unwritable(f"no free name for a function that makes `{name}`")
    return free[0]


def _indent(code: str) -> str:
    if '"""' in code or "'''" in code:
        raise Unwritable("the value holds a text over several lines")
    return "\n".join(f"    {line}" if line else "" for line in code.splitlines())


def _two_blank_lines_below(edits: Edits, spot: Spot, statement: ast.stmt) -> None:
    body = spot.text.tree.body
    following = next(iter(body[body.index(statement) + 1 :]), None)
    if following is None:
        return
    missing = 2 - sum(line.comment is None for line in edits.statement(following).leading_lines)
    gap = [cst.EmptyLine(indent=False)] * max(0, missing)

    def put(old: cst.CSTNode) -> cst.CSTNode:
        return old.with_changes(leading_lines=[*gap, *getattr(old, "leading_lines", ())])

    edits.change(following, put)


def _lazy_import(case: Case) -> Draft:
    spot = locate(case, case.finding.trigger or case.finding.place)
    statement = _at_module_level(spot)
    if not isinstance(statement, (ast.Import, ast.ImportFrom)):
        raise Unwritable(f"line {spot.line} of {spot.file} is no import at the module's top level")
    alias = _alias(case, statement)
    name = alias.asname or alias.name.split(".")[0]
    uses = _uses(spot, name)
    _only_by_use(case, spot, statement, alias)
    _only_in_functions(case, spot, name, uses)
    edits = Edits(spot.text)
    imports.without(edits, statement, alias.asname or alias.name)
    line = _line(statement, alias)
    for function in dict.fromkeys(f for f in (_function_around(spot, n) for n in uses) if f):
        _at_the_top(edits, function, line)
    title = f"Import {name} where it is used"
    return Draft("lazy import", title, {spot.file: edits.result()}, (_FIRST,), lower=1)


def _alias(case: Case, statement: ast.Import | ast.ImportFrom) -> ast.alias:
    """The name that the finding is about, where the line imports several."""
    wanted = case.finding.subject.rsplit(".", 1)[-1]
    found = [a for a in statement.names if wanted in (a.name, a.name.rsplit(".", 1)[-1], a.name.split(".")[0])]
    if isinstance(statement, ast.ImportFrom) and not found and (statement.module or "").split(".")[0] == wanted:
        found = list(statement.names)
    chosen = found or list(statement.names)
    if len(chosen) != 1 or chosen[0].name == "*":
        raise Unwritable(f"line {statement.lineno} imports several names: which of them costs can't be told")
    return chosen[0]


def _line(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    written = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
    if isinstance(statement, ast.Import):
        return f"import {written}"
    return f"from {'.' * statement.level}{statement.module or ''} import {written}"


def _only_by_use(case: Case, spot: Spot, statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> None:
    """Raises Unwritable where the imported module is there for what its import does."""
    full = f"{statement.module}.{alias.name}" if isinstance(statement, ast.ImportFrom) else alias.name
    path = modules.file_of(case.root, full) or modules.file_of(case.root, full.rpartition(".")[0])
    text = source.read(path) if path else None
    if text and _REGISTERS.search(text.text):
        raise Unwritable(f"importing {full} registers models, tasks or receivers: it must be done at the start")
    if spot.text.path.name == "__init__.py":
        raise Unwritable(f"{spot.file} imports for others")


def _at_the_top(edits: Edits, function: Function, line: str) -> None:
    """Below the docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if documented and len(function.body) > 1:
        edits.before(function.body[1], line, apart=True)
    elif documented:
        edits.after(first, line)
    else:
        edits.before(first, line, apart=True)
