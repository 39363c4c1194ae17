"""Changes of one file's text, found by its syntax tree and written with libcst: all else stays to the letter."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from perfcrew.rules.source import Source

Change = Callable[[cst.CSTNode], "cst.CSTNode | cst.FlattenSentinel[cst.CSTNode] | cst.RemovalSentinel"]
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
_Start = tuple[int, int]


class Unwritable(Exception):
    """A place of the source that can't be edited safely; the text says why and goes into a Declined."""


class Edits:
    """Collects changes by the nodes of `ast`, and makes them at once."""

    def __init__(self, text: Source) -> None:
        self.text = text
        self._wrapper = MetadataWrapper(_parsed(text), unsafe_skip_copy=True)
        self._changes: dict[cst.CSTNode, list[Change]] = {}
        self._replaced: dict[cst.CSTNode, list[Statement]] = {}
        self._around: dict[cst.CSTNode, _Around] = {}
        self.brought: dict[str, set[str]] = {}
        """Names that imports were added for, by module; '' for the module itself."""
        self._statements: dict[_Start, Statement] = {}
        self._expressions: dict[tuple[_Start, _Start], list[cst.BaseExpression]] = {}
        self._index()

    def _index(self) -> None:
        for node, at in self._wrapper.resolve(PositionProvider).items():
            start, end = (at.start.line, at.start.column), (at.end.line, at.end.column)
            if isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                self._statements[start] = node
            elif isinstance(node, cst.BaseExpression):
                self._expressions.setdefault((start, end), []).append(node)

    @property
    def module(self) -> cst.Module:
        """The file as it was read."""
        return self._wrapper.module

    def expression(self, node: ast.expr) -> cst.BaseExpression:
        """The expression of libcst at the place of the one of `ast`. Raises Unwritable where there is none."""
        found = self._expressions.get((self._start(node), self._end(node)), [])
        wanted = next((n for n in found if type(n).__name__ == type(node).__name__), found[0] if found else None)
        if wanted is None:
            raise Unwritable(f"line {node.lineno} is written in a way that can't be edited by rule")
        return wanted

    def statement(self, node: ast.stmt) -> Statement:
        """As `expression`. Raises Unwritable for a statement that shares its line with others (`a = 1; b = 2`)."""
        found = self._statements.get(self._start(node))
        if found is None or (isinstance(found, cst.SimpleStatementLine) and len(found.body) != 1):
            raise Unwritable(f"line {node.lineno} holds several statements")
        return found

    def code(self, node: ast.expr | ast.stmt) -> str:
        """The node's own text, comments beside a statement included."""
        if isinstance(node, ast.expr):
            return self._expression_code(node)
        return self.module.code_for_node(self.statement(node))

    def _expression_code(self, node: ast.expr) -> str:
        if node.lineno == node.end_lineno:
            return ast.get_source_segment(self.text.text, node) or ast.unparse(node)
        found = self.expression(node)
        if isinstance(found, cst.Call):
            found = found.with_changes(lpar=[], rpar=[])
        return self.module.code_for_node(found)

    def swap(self, node: ast.expr, code: str) -> None:
        """Puts an expression in another's place, in parentheses where what is around it binds tighter."""
        try:
            new = cst.parse_expression(code, self.module.config_for_parsing)
        except cst.ParserSyntaxError as error:
            raise Unwritable(f"line {node.lineno} can't be written in another form by rule") from error
        tight = isinstance(new, (cst.Await, cst.BinaryOperation, cst.Comparison, cst.BooleanOperation))
        if tight and _grasped(self.text.tree, node):
            new = new.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        old = self.expression(node)
        if isinstance(new, cst.Name):
            new = new.with_changes(lpar=[], rpar=[])
        elif not tight or not old.lpar:
            new = new.with_changes(lpar=[*old.lpar, *new.lpar], rpar=[*new.rpar, *old.rpar])
        else:
            new = new.with_changes(lpar=old.lpar, rpar=old.rpar)
        self._changes.setdefault(old, []).append(lambda _: new)

    def change(self, node: ast.expr | ast.stmt, change: Change) -> None:
        """Applies a function to the node, after the changes within it."""
        found = self.expression(node) if isinstance(node, ast.expr) else self.statement(node)
        self._changes.setdefault(found, []).append(change)

    def replace(self, node: ast.stmt, code: str, leading: Sequence[cst.EmptyLine] | None = None) -> None:
        """Puts statements in another's place, before other changes of it; comments above stay above the first."""
        kept = self.statement(node).leading_lines if leading is None else leading
        new = self.parse(code)
        new[0] = new[0].with_changes(leading_lines=[*kept, *_without_blank(new[0])])
        self._replaced[self.statement(node)] = new

    def enclose(self, node: ast.stmt, head: str, last: str) -> None:
        """Puts a statement, after the changes within it, into the block of a `with`, and `last` below it."""
        around = cst.ensure_type(self.parse(f"{head}\n    {last}")[0], cst.With)
        block = cst.ensure_type(around.body, cst.IndentedBlock)

        def put(old: cst.CSTNode) -> cst.CSTNode:
            inner = old.with_changes(leading_lines=[])
            whole = block.with_changes(body=[inner, *block.body])
            return around.with_changes(leading_lines=getattr(old, "leading_lines", ()), body=whole)

        self.change(node, put)

    def remove(self, node: ast.stmt) -> None:
        """Takes a statement out, with the comments above it."""
        self._changes.setdefault(self.statement(node), []).append(lambda _: cst.RemoveFromParent())

    def before(self, node: ast.stmt, code: str, apart: bool = False, first: bool = False) -> None:
        """Puts statements before another, `apart` by a blank line; the comments above it stay with it.

        Below what was put there already, or `first`.
        """
        around = self._around.setdefault(self.statement(node), _Around())
        at = 0 if first else len(around.above)
        around.above[at:at] = self.parse(code)
        around.apart |= apart

    def after(self, node: ast.stmt, code: str) -> None:
        """Puts statements after another."""
        self._around.setdefault(self.statement(node), _Around()).below.extend(self.parse(code))

    def parse(self, code: str) -> list[Statement]:
        """Statements from text, with the file's own indentation and line ends. A blank line above the first stays."""
        indent = self.module.default_indent
        lines = [_indented(line, indent) for line in code.rstrip().splitlines()]
        if indent != "    " and ('"""' in code or "'''" in code):
            raise Unwritable("a text over several lines stands in what would move")
        try:
            parsed = cst.parse_module("\n".join(lines) + "\n", self.module.config_for_parsing)
        except cst.ParserSyntaxError as error:
            raise Unwritable("the change can't be written in the form of this file") from error
        body: list[Statement] = list(parsed.body)
        body[0] = body[0].with_changes(leading_lines=[*parsed.header, *body[0].leading_lines])
        return [cst.ensure_type(statement.visit(_Bare()), type(statement)) for statement in body]

    def result(self) -> str:
        """The file's new text. Raises Unwritable where nothing changed or the result is no Python."""
        new = self.module.visit(_Rewrite(self._replaced, self._changes, self._around))
        return checked(self.text, new.code)

    def _start(self, node: ast.expr | ast.stmt) -> _Start:
        return node.lineno, self._characters(node.lineno, node.col_offset)

    def _end(self, node: ast.expr | ast.stmt) -> _Start:
        line = node.end_lineno or node.lineno
        return line, self._characters(line, node.end_col_offset or 0)

    def _characters(self, line: int, column_bytes: int) -> int:
        """`ast` counts bytes of UTF-8, libcst characters."""
        return len(self.text.line(line).encode()[:column_bytes].decode())


def _parsed(text: Source) -> cst.Module:
    try:
        return cst.parse_module(text.text)
    except cst.ParserSyntaxError as error:
        raise Unwritable(f"{text.path.name} is written in a Python that can't be edited by rule") from error


def checked(text: Source, new: str) -> str:
    """The new text with the file's line ends. Raises Unwritable where it does not differ or does not parse."""
    if new == text.text:
        raise Unwritable("the change left the file as it is")
    try:
        ast.parse(new)
    except SyntaxError as error:
        raise Unwritable(f"the change would break line {error.lineno}: {error.msg}") from error
    return new.replace("\n", "\r\n") if b"\r\n" in text.path.read_bytes() else new


class _Bare(cst.CSTTransformer):
    """Empty lines hold no blanks."""

    def leave_EmptyLine(self, original_node: cst.EmptyLine, updated_node: cst.EmptyLine) -> cst.EmptyLine:
        return updated_node if updated_node.comment else updated_node.with_changes(indent=False)


@dataclass
class _Around:
    """Statements to be put above and below one."""

    above: list[Statement] = field(default_factory=list)
    below: list[Statement] = field(default_factory=list)
    apart: bool = False


class _Rewrite(cst.CSTTransformer):
    def __init__(
        self,
        replaced: dict[cst.CSTNode, list[Statement]],
        changes: dict[cst.CSTNode, list[Change]],
        around: dict[cst.CSTNode, _Around],
    ) -> None:
        super().__init__()
        self._replaced, self._changes, self._around = replaced, changes, around

    def on_leave(  # type: ignore[override]
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNode]:
        done: list[cst.CSTNode] = [*self._replaced.get(original_node, [updated_node])]
        for change in self._changes.get(original_node, ()):
            done = _all_of(change(done[0])) + done[1:] if done else done
        around = self._around.get(original_node)
        if around is not None:
            done = [*around.above, *(_apart(done) if around.apart else done), *around.below]
        return done[0] if len(done) == 1 else cst.FlattenSentinel(done) if done else cst.RemoveFromParent()


def _all_of(
    changed: cst.CSTNode | cst.FlattenSentinel[cst.CSTNode] | cst.RemovalSentinel,
) -> list[cst.CSTNode]:
    if isinstance(changed, cst.FlattenSentinel):
        return list(changed)
    return [] if isinstance(changed, cst.RemovalSentinel) else [changed]


def _apart(done: list[cst.CSTNode]) -> list[cst.CSTNode]:
    head: Sequence[cst.EmptyLine] = getattr(done[0], "leading_lines", ()) if done else ()
    if not done or (head and head[0].comment is None):
        return done
    return [done[0].with_changes(leading_lines=[cst.EmptyLine(indent=False), *head]), *done[1:]]


def _indented(line: str, indent: str) -> str:
    """Templates are written with four blanks a level."""
    bare = line.lstrip(" ")
    levels, rest = divmod(len(line) - len(bare), 4)
    return indent * levels + " " * rest + bare


def _without_blank(statement: Statement) -> Iterable[cst.EmptyLine]:
    return [line for line in statement.leading_lines if line.comment]


def _grasped(tree: ast.AST, node: ast.expr) -> bool:
    """Whether an attribute, a call or an index is taken of the node: those bind tighter than `await`."""
    for parent in ast.walk(tree):
        if isinstance(parent, (ast.Attribute, ast.Subscript, ast.Starred)) and parent.value is node:
            return not isinstance(parent, ast.Starred)
        if isinstance(parent, ast.Call) and parent.func is node:
            return True
    return False
