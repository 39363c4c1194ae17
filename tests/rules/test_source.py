"""Reading source: loops, awaits, comments, and the flow between awaits."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.rules import flow, source
from perfcrew.rules.source import Source

TEXT = """
for item in [1, 2]: first(item)

def listing(rows):
    for row in load(rows):  # header
        use(row)  # body
    while rows:
        rows.pop()  # while
    return [
        shown(row)  # element
        for row in fetch(rows)  # iterable
    ]

async def asynchronous(session):
    async with session.begin() as tx:  # with
        plain(tx)  # inside with
    async for row in session.stream():  # for
        plain(row)  # inside for
    rows = await session.execute(
        statement  # argument
    )
    return [row async for row in rows]  # comprehension

def outer():
    for _ in range(3):
        def inner():
            use()  # inner function
"""


def line(needle: str) -> int:
    return next(n for n, text in enumerate(TEXT.splitlines(), 1) if needle in text)


@pytest.fixture
def code(tmp_path: Path) -> Source:
    path = tmp_path / "x.py"
    path.write_text(TEXT)
    found = source.read(path)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("needle", "loops"),
    [
        ("first(item)", True),
        ("# header", False),
        ("# body", True),
        ("# while", True),
        ("# element", True),
        ("# iterable", False),
        ("# inner function", False),
        ("# inside with", False),
    ],
)
def test_loops(code: Source, needle: str, loops: bool) -> None:
    assert code.in_loop(line(needle)) is loops


@pytest.mark.parametrize(
    ("needle", "awaited"),
    [
        ("# with", True),
        ("# inside with", False),
        ("# for", True),
        ("# inside for", False),
        ("# argument", True),
        ("# comprehension", True),
    ],
)
def test_awaits(code: Source, needle: str, awaited: bool) -> None:
    assert code.awaited_at(line(needle)) is awaited


def test_functions_and_calls(code: Source) -> None:
    function = code.function_at(line("# inner function"))
    assert function is not None
    assert function.name == "inner"
    assert code.function_at(2) is None
    assert "session.execute" in code.calls_at(line("# argument"))


def test_comments_are_not_strings(tmp_path: Path) -> None:
    (tmp_path / "y.py").write_text('a = "# no"\nb = 1  # yes\n')
    found = source.read(tmp_path / "y.py")
    assert found is not None
    assert found.comments == {2: "# yes"}


@pytest.mark.parametrize(
    ("name", "text"), [("x.html", "<b>"), ("broken.py", "def ("), ("null.py", "a\0"), ("latin.py", "é")]
)
def test_what_cannot_be_read_is_nothing(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    assert source.read(tmp_path / name) is None
    assert source.read(tmp_path / "gone.py") is None


def independent(body: str) -> bool:
    """Whether the awaits marked `# a` and `# b` are independent."""
    text = "async def f(x, y, session, client):\n" + "".join(f"    {row}\n" for row in body.splitlines())
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    lines = [n for n, row in enumerate(text.splitlines(), 1) if row.endswith(("# a", "# b"))]
    found = flow.steps(function, lines)
    return len(found) == 2 and flow.independent(*found)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("p = await a(x)  # a\nq = await b(x)  # b", True),
        ("p = await a(x)  # a\nlog(p)\nq = await b(x)  # b", True),
        ("return g(\n    await a(x),  # a\n    await b(y),  # b\n)", True),
        ("async with client:\n    p = await a(x)  # a\n    q = await b(x)  # b", True),
        ("p = await a(x)  # a\nq = await b(p)  # b", False),
        ("p = await a(x)  # a\nr = p.id\nq = await b(r)  # b", False),
        ("p = await a(x)  # a\nx.append(p)\nq = await b(x)  # b", False),
        ("p = await a(x)  # a\nif not p:\n    return None\nq = await b(x)  # b", False),
        ("x.name = await a(y)  # a\nq = await b(x)  # b", False),
        ("x['k'] = await a(y)  # a\nq = await b(x)  # b", False),
        ("await a(x)  # a\nq = await b(x)  # b", False),
        ("x = await a(y)  # a\nq = await b(x)  # b", False),
        ("if y:\n    p = await a(x)  # a\nq = await b(x)  # b", False),
        ("for i in y:\n    p = await a(x)  # a\n    q = await b(x)  # b", False),
        ("return g(\n    p := await a(x),  # a\n    await b(p),  # b\n)", False),
        ("with x as z:\n    p = await a(z)  # a\nq = await b(x)  # b", False),
    ],
)
def test_flow(body: str, expected: bool) -> None:
    assert independent(body) is expected


@given(
    st.lists(st.floats(0.1, 100), min_size=2, max_size=6),
    st.data(),
)
def test_never_more_is_spared_than_all_but_the_longest(cost: list[float], data: st.DataObject) -> None:
    order = [object()] * len(cost)
    depends = [[i < j and data.draw(st.booleans()) for j in range(len(cost))] for i in range(len(cost))]
    spared = flow.spared_ms(order, cost, depends)  # type: ignore[arg-type]
    assert -1e-6 <= spared <= sum(cost) - max(cost) + 1e-6
    chain = [[i < j for j in range(len(cost))] for i in range(len(cost))]
    assert flow.spared_ms(order, cost, chain) == pytest.approx(0, abs=1e-6)  # type: ignore[arg-type]
