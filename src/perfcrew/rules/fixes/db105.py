"""DB105: a page with a bound and a default, asked for by the endpoint's own parameters.

It changes what the endpoint answers, on purpose: the rest of the rows is on further pages. Declined where the rows are
counted, summed or searched, since a page of them would make that wrong.
"""

from __future__ import annotations

import ast

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import bounded, chain, imports, listed, models, paging
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import dotted

_ANSWER = (
    "The answer is a page of at most {most} rows now, and further ones come by `{by}`: an API change, which clients "
    "that expect all rows must learn of first."
)
_OFFSET = "Later pages read all rows that they skip; paging by the last key would not."


def fix(case: Case) -> list[Fix | Declined]:
    """One variant: by limit and offset, or by Django's pages."""
    return attempt(case, "page", lambda: _page(case))


def _page(case: Case) -> Draft:
    known = models.read(case.root)
    spot = locate(case, case.finding.place)
    if case.app.project.framework == "django":
        return _django(case, spot, known)
    statement, rows = bounded.asked(spot, known)
    listed.check(spot, rows)
    steps = chain.down(case, spot)
    for step in steps[:-1]:
        assert step.call is not None
        listed.check(step.spot, step.call)
    pages = _Pages(case, steps)
    bounded.bound(case, pages.edits(spot), spot, statement, known)
    most = pages.thread()
    title = f"Answer {_key(case, steps[0])} in pages"
    return Draft(
        "limit and offset", title, pages.files(), (_ANSWER.format(most=most, by="offset"), _OFFSET), exact=False
    )


def _key(case: Case, step: chain.Step) -> str:
    return case.finding.endpoint or step.function.name


class _Pages:
    """The page's parameters from the handler down to the statement."""

    def __init__(self, case: Case, steps: list[chain.Step]) -> None:
        self._case, self._steps = case, steps
        self._edits: dict[str, Edits] = {}

    def edits(self, spot: Spot) -> Edits:
        """One for each file."""
        return self._edits.setdefault(spot.file, Edits(spot.text))

    def files(self) -> dict[str, str]:
        return {file: edits.result() for file, edits in self._edits.items()}

    def thread(self) -> int:
        """Adds parameters and arguments. Returns the default bound. Raises Unwritable."""
        for step in self._steps:
            taken = {"limit", "offset"} & {n.arg for n in ast.walk(step.function.args) if isinstance(n, ast.arg)}
            if taken:
                raise Unwritable(f"`{step.function.name}` has a parameter `{sorted(taken)[0]}` by now")
            if step.call is not None:
                self._hand_on(step)
        plain = [paging.Parameter("limit", "int", 0), paging.Parameter("offset", "int", 0)]
        for above, step in zip(self._steps, self._steps[1:], strict=False):
            paging.take(self.edits(step.spot), step.function, plain, "required" if above.only else "none")
        return self._handler(self._steps[0])

    def _hand_on(self, step: chain.Step) -> None:
        assert step.call is not None
        edits = self.edits(step.spot)
        code = edits.code(step.call).rstrip()[:-1].rstrip().removesuffix(",")
        edits.swap(step.call, f"{code}{'' if code.endswith('(') else ', '}limit=limit, offset=offset)")

    def _handler(self, step: chain.Step) -> int:
        edits, framework = self.edits(step.spot), self._case.app.project.framework
        if framework in ("flask", "quart"):
            return _flask(edits, step, framework)
        if framework != "fastapi":
            raise Unwritable(f"how a handler of {framework} takes parameters is not known by rule")
        parameters = paging.fastapi_parameters(self._case.root, edits)
        paging.take(edits, step.function, parameters)
        return parameters[0].default


def _flask(edits: Edits, step: chain.Step, module: str) -> int:
    request = imports.bring(edits, module, "request")
    first = step.function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(step.function.body) > 1:
        first = step.function.body[1]
    edits.before(
        first,
        f'limit = min(max({request}.args.get("limit", {paging.MOST}, type=int), 1), {paging.MOST})\n'
        f'offset = max({request}.args.get("offset", 0, type=int), 0)',
    )
    return paging.MOST


def _django(case: Case, spot: Spot, known: models.Models) -> Draft:
    view = spot.parents.get(spot.function) if spot.function else None
    if spot.function is None or isinstance(view, ast.ClassDef):
        raise Unwritable(
            "the rows are read in a class: set `paginate_by` of a ListView, `pagination_class` of a view of the REST "
            "framework"
        )
    request = spot.function.args.args[0].arg if spot.function.args.args else ""
    if request != "request":
        raise Unwritable(f"`{spot.function.name}` is not a view that takes the request")
    found, model = bounded.queryset(spot, known)
    _refuse_other_uses(spot, found)
    edits = Edits(spot.text)
    bounded.paginated(edits, spot, found, model, request, paging.MOST)
    title = f"Answer {case.finding.endpoint or spot.function.name} in pages"
    risks = (_ANSWER.format(most=paging.MOST, by="page"), "Counting the rows for the pages takes a statement more.")
    return Draft("Paginator", title, {spot.file: edits.result()}, risks, exact=False)


def _refuse_other_uses(spot: Spot, found: ast.expr) -> None:
    """A queryset that is filtered, counted or summed further on is no page."""
    listed.check(spot, found)
    for node in ast.walk(spot.function or spot.text.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("len", "sum", "max", "min"):
            raise Unwritable(f"line {node.lineno} counts or sums: a page of the rows would change it")
