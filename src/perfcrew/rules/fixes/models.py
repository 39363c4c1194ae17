"""The project's mapped classes as their source shows them: tables, columns and relations of SQLAlchemy and Django."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from perfcrew.rules.fixes import declared, project
from perfcrew.rules.source import Source, dotted

Style = Literal["sqlalchemy", "django"]
_COLUMNS = frozenset({"mapped_column", "Column", "Field"})
_RELATIONS = frozenset({"relationship", "Relationship", "relation"})
_TO_ONE = frozenset({"ForeignKey", "OneToOneField"})
_LISTS = re.compile(r"\b(list|List|set|Set|Sequence|Collection|MutableSequence)\[")
_NAME = re.compile(r"[A-Za-z_]\w*")
_NOT_CLASSES = frozenset(
    {"Mapped", "Optional", "None", "list", "List", "set", "Set", "Sequence", "Collection", "Union", "MutableSequence"}
    | {"DynamicMapped", "WriteOnlyMapped", "typing", "t", "orm", "sqlalchemy"}
)


class Column(NamedTuple):
    """An attribute that is a column; `name` is the column's in the database, `foreign` what it refers to."""

    attribute: str
    name: str
    node: ast.stmt
    unique: bool
    primary: bool
    nullable: bool
    foreign: str | None


class Relation(NamedTuple):
    """An attribute that leads to rows of another class. `owner` and `target` are class names."""

    name: str
    owner: str
    target: str
    many: bool
    lazy: str
    """As the class says: `selectin`, `dynamic`; '' where it doesn't."""
    column: str | None = None
    """The column that holds the key, on the owner (to one) or on the target (to many); None where not known."""
    through: str | None = None
    """The table between, of a relation of many to many."""


@dataclass(frozen=True)
class Model:
    """A mapped class."""

    name: str
    table: str
    style: Style
    text: Source
    node: ast.ClassDef
    columns: Sequence[Column]
    relations: list[Relation] = field(default_factory=list)

    def column(self, name: str) -> Column | None:
        """By attribute or by the database's name."""
        return next((c for c in self.columns if name in (c.attribute, c.name)), None)

    @property
    def key(self) -> Column | None:
        """The primary key where it is one column."""
        found = [c for c in self.columns if c.primary]
        return found[0] if len(found) == 1 else None

    def relation(self, name: str) -> Relation | None:
        return next((r for r in self.relations if r.name == name), None)


class Models:
    """All mapped classes of a project."""

    def __init__(self, found: Sequence[Model]) -> None:
        self._all = [m for m in found if sum(o.name == m.name for o in found) == 1]
        self._by_name: Mapping[str, Model] = {m.name: m for m in self._all}

    def __iter__(self) -> Iterator[Model]:
        return iter(self._all)

    def named(self, name: str) -> Model | None:
        """The only class of that name; a module in front is left out."""
        return self._by_name.get(name.rsplit(".", 1)[-1])

    def of_table(self, table: str) -> Model | None:
        """The only class of that table."""
        bare = table.rsplit(".", 1)[-1].lower()
        found = [m for m in self._all if m.table.lower() == bare]
        return found[0] if len(found) == 1 else None


def read(root: Path) -> Models:
    """The project's mapped classes, tests left out. Classes that share a name are left out too."""
    classes: dict[str, tuple[Source, ast.ClassDef]] = {}
    for text in project.sources(root):
        if not project.is_test(root, text.path):
            classes.update({n.name: (text, n) for n in text.tree.body if isinstance(n, ast.ClassDef)})
    found = [m for text, node in classes.values() if (m := _model(text, node, classes))]
    models = Models(found)
    for model in models:
        model.relations.extend(_own_relations(model, models))
    for model in models:
        _add_reverse(model, models)
    return models


_Classes = Mapping[str, tuple[Source, ast.ClassDef]]


def _model(text: Source, node: ast.ClassDef, classes: _Classes) -> Model | None:
    lineage = list(_lineage(text, node, classes))
    style = _style(node, lineage)
    if style is None:
        return None
    found: dict[str, Column] = {}
    for _, base in reversed(lineage):
        for statement in base.body:
            column = _column(statement, style)
            if column:
                found[column.attribute] = column
    columns = list(found.values())
    if style == "django" and not any(c.primary for c in columns):
        columns.insert(0, Column("id", "id", node, True, True, False, None))
    return Model(node.name, _table(text, node, style), style, text, node, columns)


def _lineage(text: Source, node: ast.ClassDef, classes: _Classes) -> Iterator[tuple[Source, ast.ClassDef]]:
    seen: set[str] = set()
    waiting = [(text, node)]
    while waiting:
        at, current = waiting.pop(0)
        if current.name in seen:
            continue
        seen.add(current.name)
        yield at, current
        names = [dotted(b.value if isinstance(b, ast.Subscript) else b).rsplit(".", 1)[-1] for b in current.bases]
        waiting += [classes[name] for name in names if name in classes]


def _style(node: ast.ClassDef, lineage: Sequence[tuple[Source, ast.ClassDef]]) -> Style | None:
    bases = {dotted(b) for _, c in lineage for b in c.bases}
    if "models.Model" in bases or "MPTTModel" in bases:
        return None if declared.meta(node, "abstract") == "True" else "django"
    own = [s for s in node.body if _column(s, "sqlalchemy")]
    if "SQLModel" in bases:
        return "sqlalchemy" if any(k.arg == "table" for k in node.keywords) else None
    has_table = any(declared.assigned(s) == "__tablename__" for s in node.body) or any(
        b.endswith("db.Model") for b in bases
    )
    return "sqlalchemy" if has_table and (own or _relation_calls(node)) else None


def _column(statement: ast.stmt, style: Style) -> Column | None:
    name, call, called = declared.assigned(statement), declared.call_of(statement), declared.called(statement)
    if not name or name.startswith("__"):
        return None
    annotation = ast.unparse(statement.annotation) if isinstance(statement, ast.AnnAssign) else ""
    if style == "django":
        return _django_column(name, statement)
    mapped = re.match(r"(orm\.)?Mapped\[", annotation) is not None
    if called in _RELATIONS or not (called in _COLUMNS or (mapped and called != "column_property")):
        return None
    primary = declared.keyword(call, "primary_key") == "True"
    first = call.args[0] if call and call.args else None
    named = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else name
    nullable = declared.keyword(call, "nullable") == "True" or bool(re.search(r"Optional|\bNone\b", annotation))
    return Column(
        name, named, statement, primary or declared.keyword(call, "unique") == "True", primary, nullable, _foreign(call)
    )


def _foreign(call: ast.Call | None) -> str | None:
    """`authors.id` of `ForeignKey("authors.id")` or `Field(foreign_key="authors.id")`."""
    for node in ast.walk(call) if call else ():
        if isinstance(node, ast.Call) and dotted(node.func).endswith("ForeignKey") and node.args:
            return str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else ast.unparse(node.args[0])
    return declared.text_of(call, "foreign_key") or None


def _django_column(name: str, statement: ast.stmt) -> Column | None:
    call, called = declared.call_of(statement), declared.called(statement)
    if call is None or not (called.endswith("Field") or called in _TO_ONE) or called == "ManyToManyField":
        return None
    column = declared.text_of(call, "db_column") or (f"{name}_id" if called in _TO_ONE else name)
    primary = declared.keyword(call, "primary_key") == "True"
    unique = primary or called == "OneToOneField" or declared.keyword(call, "unique") == "True"
    target = ast.unparse(call.args[0]).strip("'\"") if called in _TO_ONE and call.args else None
    return Column(name, column, statement, unique, primary, declared.keyword(call, "null") == "True", target)


def _table(text: Source, node: ast.ClassDef, style: Style) -> str:
    if style == "django":
        return declared.meta(node, "db_table").strip("'\"") or f"{app_label(text.path, node)}_{node.name.lower()}"
    for statement in node.body:
        value = getattr(statement, "value", None)
        if declared.assigned(statement) == "__tablename__" and isinstance(value, ast.Constant):
            return str(value.value)
    if any(dotted(b) == "SQLModel" for b in node.bases) or any(k.arg == "table" for k in node.keywords):
        return node.name.lower()
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", node.name).lower()


def app_label(path: Path, node: ast.ClassDef | None = None) -> str:
    """Django's name of the application that a models file belongs to."""
    said = declared.meta(node, "app_label").strip("'\"") if node else ""
    return said or (path.parent.parent.name if path.parent.name == "models" else path.parent.name)


def _relation_calls(node: ast.ClassDef) -> list[ast.stmt]:
    return [s for s in node.body if declared.called(s) in _RELATIONS]


def _own_relations(model: Model, models: Models) -> Iterator[Relation]:
    for statement in model.node.body:
        call = declared.call_of(statement)
        name = declared.assigned(statement)
        if call is None or not name:
            continue
        made = (_django if model.style == "django" else _sqlalchemy)(model, models, name, statement)
        if made is not None:
            yield made


def _django(model: Model, models: Models, name: str, statement: ast.stmt) -> Relation | None:
    call, called = declared.call_of(statement), declared.called(statement)
    if call is None or called not in _TO_ONE | {"ManyToManyField"} or not call.args:
        return None
    target = ast.unparse(call.args[0]).strip("'\"").rsplit(".", 1)[-1]
    target = model.name if target == "self" else target
    if called == "ManyToManyField":
        return Relation(name, model.name, target, True, "", None, f"{model.table}_{name}")
    column = model.column(name)
    return Relation(name, model.name, target, False, "", column.name if column else None)


def _sqlalchemy(model: Model, models: Models, name: str, statement: ast.stmt) -> Relation | None:
    call = declared.call_of(statement)
    if call is None or declared.called(statement) not in _RELATIONS:
        return None
    annotation = ast.unparse(statement.annotation) if isinstance(statement, ast.AnnAssign) else ""
    written = ast.unparse(call.args[0]) if call.args else declared.keyword(call, "argument") or annotation
    target = next((n for n in _NAME.findall(written) if n not in _NOT_CLASSES and models.named(n)), None)
    other = models.named(target) if target else None
    if other is None:
        return None
    through = declared.keyword(call, "secondary").strip("'\"") or None
    here = _foreign_to(model, other)
    many = bool(through) or (bool(_LISTS.search(annotation)) if annotation else here is None)
    many = many and declared.keyword(call, "uselist") != "False"
    lazy = declared.text_of(call, "lazy") or ("dynamic" if annotation.startswith(("Dynamic", "WriteOnly")) else "")
    column = _foreign_to(other, model) if many else here
    return Relation(name, model.name, other.name, many, lazy, column.name if column else None, through)


def _foreign_to(model: Model, other: Model) -> Column | None:
    """The model's only column that refers to the other's table."""
    found = [c for c in model.columns if c.foreign and _refers(c.foreign, other)]
    return found[0] if len(found) == 1 else None


def _refers(foreign: str, other: Model) -> bool:
    owner = foreign.rpartition(".")[0].rsplit(".", 1)[-1]
    return owner in (other.table, other.name)


def _add_reverse(model: Model, models: Models) -> None:
    """What a relation's `related_name` or `backref` makes on the other class."""
    for relation in [r for r in model.relations if r.owner == model.name]:
        statement = next((s for s in model.node.body if declared.assigned(s) == relation.name), None)
        call, other = (declared.call_of(statement) if statement else None), models.named(relation.target)
        if call is None or other is None or statement is None:
            continue
        if model.style == "django":
            one = declared.called(statement) == "OneToOneField"
            default = model.name.lower() if one else f"{model.name.lower()}_set"
            name = declared.text_of(call, "related_name") or default
            if not name.endswith("+"):
                other.relations.append(
                    Relation(name, other.name, model.name, not one, "", relation.column, relation.through)
                )
        elif backref := _backref(call):
            many = not relation.many or bool(relation.through)
            name, lazy = backref
            made = Relation(name, other.name, model.name, many, lazy, relation.column, relation.through)
            other.relations.append(made)


def _backref(call: ast.Call) -> tuple[str, str] | None:
    """The name and the way of loading of `backref="books"`, `backref=backref("books", lazy="dynamic")`."""
    if named := declared.text_of(call, "backref"):
        return named, ""
    made = next((k.value for k in call.keywords if k.arg == "backref"), None)
    first = made.args[0] if isinstance(made, ast.Call) and made.args else None
    if not isinstance(made, ast.Call) or not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return None
    return first.value, declared.text_of(made, "lazy")
