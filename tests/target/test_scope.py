"""Scope: what changed by git, and which endpoints execute it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import UsageError
from perfcrew.core.trace import Function
from perfcrew.core.web import Place
from perfcrew.target.scope import Changes, changed_endpoints, changed_lines
from perfcrew.target.scope_git import _name, _parsed

IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**os.environ, **IDENTITY},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


def commit(folder: Path, message: str = "m") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "app.py").write_text("".join(f"line{n} = {n}\n" for n in range(1, 21)))
    (folder / "service").mkdir()
    (folder / "service" / "views.py").write_text("a = 1\nb = 2\nc = 3\n")
    commit(folder)
    return folder


def change(path: Path, line: int, text: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    lines[line - 1] = text
    path.write_text("".join(lines))


def test_a_clean_tree_has_no_changes_and_says_since_when(repository: Path) -> None:
    changes = changed_lines(repository)
    assert not changes.any
    assert "nothing changed since the merge base with main" in changes.reason


def test_committed_staged_unstaged_and_untracked_changes_are_all_seen(repository: Path) -> None:
    base = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", "-b", "feature")
    change(repository / "app.py", 3, "committed = 1\n")
    commit(repository)
    change(repository / "app.py", 9, "staged = 1\n")
    git(repository, "add", "-A")
    change(repository / "app.py", 15, "unstaged = 1\n")
    (repository / "new file.py").write_text("x = 1\ny = 2\n")
    changes = changed_lines(repository)
    assert changes.base == base
    assert changes.files == {"app.py": frozenset({3, 9, 15}), "new file.py": frozenset({1, 2})}
    assert changes.untracked == {"new file.py"}
    assert "merge base with main" in changes.reason


def test_the_base_is_the_merge_base_not_the_tip_of_the_default_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "feature")
    change(repository / "app.py", 3, "mine = 1\n")
    commit(repository)
    git(repository, "checkout", "-q", "main")
    change(repository / "app.py", 18, "theirs = 1\n")
    commit(repository)
    git(repository, "checkout", "-q", "feature")
    assert changed_lines(repository).files == {"app.py": frozenset({3})}


def test_the_default_branch_of_the_remote_comes_first(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    change(clone / "app.py", 2, "unpushed = 1\n")
    commit(clone)
    changes = changed_lines(clone)
    assert changes.files == {"app.py": frozenset({2})}
    assert "origin/HEAD" in changes.reason


def test_a_given_base_is_compared_with(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    change(repository / "app.py", 1, "x = 1\n")
    commit(repository)
    assert changed_lines(repository, first).files == {"app.py": frozenset({1})}
    assert changed_lines(repository).files == {}


@pytest.mark.parametrize("base", ["nowhere", "--output=/tmp/x", "main:app.py"])
def test_a_base_that_is_no_commit_is_refused(repository: Path, base: str) -> None:
    with pytest.raises(UsageError, match="no commit is called"):
        changed_lines(repository, base)


def test_a_target_in_a_subfolder_sees_its_own_files_alone_by_their_own_names(repository: Path) -> None:
    change(repository / "app.py", 1, "x = 1\n")
    change(repository / "service" / "views.py", 2, "b = 22\n")
    (repository / "service" / "extra.py").write_text("e = 1\n")
    changes = changed_lines(repository / "service")
    assert changes.files == {"views.py": frozenset({2}), "extra.py": frozenset({1})}


def test_lines_around_a_deletion_count_and_a_deleted_file_does_not(repository: Path) -> None:
    lines = (repository / "app.py").read_text().splitlines(keepends=True)
    (repository / "app.py").write_text("".join(lines[:4] + lines[6:]))
    (repository / "service" / "views.py").unlink()
    assert changed_lines(repository).files == {"app.py": frozenset({4, 5})}


def test_a_renamed_file_has_the_lines_that_changed_with_the_rename(repository: Path) -> None:
    git(repository, "mv", "app.py", "main.py")
    change(repository / "main.py", 20, "end = 1\n")
    assert changed_lines(repository).files == {"main.py": frozenset({20})}


@pytest.mark.parametrize("name", ['quo"te.py', "back\\slash.py", "ümlaut.py", "tab\there.py", "b/deep.py"])
def test_names_that_git_quotes_are_read_back(repository: Path, name: str) -> None:
    path = repository / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("one = 1\n")
    commit(repository)
    change(path, 1, "two = 2\n")
    assert changed_lines(repository).files == {name: frozenset({1})}


def test_content_that_looks_like_a_header_of_a_difference_is_content(repository: Path) -> None:
    (repository / "notes.txt").write_text("a\nb\nc\n")
    commit(repository)
    (repository / "notes.txt").write_text("a\n++ b/other.py\n-- x\n@@ -1 +7 @@\nc\n")
    assert changed_lines(repository).files == {"notes.txt": frozenset({2, 3, 4})}


def test_ignored_and_own_files_are_left_out(repository: Path) -> None:
    (repository / ".gitignore").write_text("*.log\n")
    commit(repository)
    (repository / "x.log").write_text("x\n")
    (repository / ".perfcrew").mkdir()
    (repository / ".perfcrew" / "ledger").write_text("x\n")
    assert changed_lines(repository).files == {}


def test_nothing_is_written_to_the_repository(repository: Path) -> None:
    os.utime(repository / "app.py")  # makes git want to refresh its index
    before = {p: p.stat().st_mtime_ns for p in (repository / ".git").rglob("*")}
    changed_lines(repository)
    assert {p: p.stat().st_mtime_ns for p in (repository / ".git").rglob("*")} == before


def test_no_git_tree_is_a_reason_and_with_a_base_an_error(tmp_path: Path) -> None:
    assert changed_lines(tmp_path) == Changes(base=None, reason="the target lies in no git working tree")
    with pytest.raises(UsageError, match="no git working tree"):
        changed_lines(tmp_path, "main")


def test_a_repository_without_a_commit_is_a_reason(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("x\n")
    assert changed_lines(tmp_path).reason == "the git repository holds no commit yet"


@given(st.text(alphabet='+-@ \\"abdiff/\n\t0123456789,', max_size=300))
def test_any_text_is_parsed_without_an_exception(text: str) -> None:
    assert all(isinstance(lines, frozenset) for lines in _parsed(text).values())


def test_a_quoted_header_is_unquoted() -> None:
    assert _name('+++ "b/a\\303\\274\\"\\\\.py"') == 'aü"\\.py'


MODELS = """\
class Book(Base):
    title = column()
    authors = relation(lazy="selectin")

    def price(self):
        return 1


class Order(Base):
    total = column()
"""
SETTINGS = """\
\"\"\"What steers the shop.\"\"\"
PAGE = 20
# a comment
TAX = 19
"""
HELPERS = """\
from shop.settings import TAX as RATE


def deepest(x):
    return x * 2


def middle(x):
    return deepest(x)


def tax(x):
    return x * RATE
"""
VIEWS = """\
import json
from . import settings
from .helpers import middle, tax
from .models import Book

LIMIT = 7


def listing(request):
    return middle(len(query(Book)))


def page(request):
    return render("books/list.html", settings.PAGE)


class Detail:
    template_name = "books/detail.html"

    def get(self, request):
        return 1


def plain(request):
    return json.dumps(1)
"""
FILES = {"shop/models.py": MODELS, "shop/settings.py": SETTINGS, "shop/helpers.py": HELPERS, "shop/views.py": VIEWS}


def function(root: Path, file: str, name: str) -> Function:
    """As the probe would record it: found in the text by its `def`."""
    lines = FILES[file].splitlines()
    first = next(n for n, line in enumerate(lines, 1) if line.strip().startswith(f"def {name}("))
    last = next((n for n in range(first, len(lines)) if not lines[n].strip()), len(lines))
    return Function(file=str(root / file), first_line=first, last_line=last, name=name)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


EXECUTED = {
    "GET /listing": [("shop/views.py", "listing"), ("shop/helpers.py", "middle"), ("shop/helpers.py", "deepest")],
    "GET /tax": [("shop/helpers.py", "tax")],
    "GET /page": [("shop/views.py", "page")],
    "GET /detail": [("shop/views.py", "get")],
    "GET /plain": [("shop/views.py", "plain")],
}

CASES = {
    "a helper three calls down": ("shop/helpers.py", 5, {"GET /listing": "deepest (shop/helpers.py:5)"}),
    "a blank line between functions": ("shop/helpers.py", 2, {}),
    "a function that nobody executed": ("shop/models.py", 6, {}),
    "a column of a class that a function elsewhere mentions": (
        "shop/models.py",
        3,
        {"GET /listing": "Book (shop/models.py:3)"},
    ),
    "a column of a class that nobody mentions": ("shop/models.py", 10, {}),
    "a constant read through its module": ("shop/settings.py", 2, {"GET /page": "PAGE (shop/settings.py:2)"}),
    "a constant imported under another name": ("shop/settings.py", 4, {"GET /tax": "TAX (shop/settings.py:4)"}),
    "a comment at the top level": ("shop/settings.py", 3, {}),
    "a module's docstring": ("shop/settings.py", 1, {}),
    "an import of the own file that one function uses": (
        "shop/views.py",
        1,
        {"GET /plain": "json (shop/views.py:1)"},
    ),
    "a constant of the file counts for all that execute anything of it": (
        "shop/views.py",
        6,
        {key: "LIMIT (shop/views.py:6)" for key in ("GET /listing", "GET /page", "GET /detail", "GET /plain")},
    ),
    "a template that a view names": (
        "shop/templates/books/list.html",
        1,
        {"GET /page": "shop/templates/books/list.html (named in page)"},
    ),
    "a template that a view's class names": (
        "shop/templates/books/detail.html",
        1,
        {"GET /detail": "shop/templates/books/detail.html (named in get)"},
    ),
    "a template of a similar name": ("shop/templates/books/old_list.html", 1, {}),
    "a file that has nothing to do with it": ("README.md", 1, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_endpoints_that_execute_what_changed(shop: Path, name: str) -> None:
    file, line, expected = CASES[name]
    executed = {key: [function(shop, *one) for one in functions] for key, functions in EXECUTED.items()}
    changes = Changes(base="x", files={file: frozenset({line})})
    assert changed_endpoints(changes, executed, shop) == {key: (reason,) for key, reason in expected.items()}


def test_a_handler_counts_although_it_was_never_executed(shop: Path) -> None:
    changes = Changes(base="x", files={"shop/views.py": frozenset({10})})
    handlers = {
        "GET /a": Place(file="shop/views.py", line=9, function="listing"),
        "GET /b": Place(file="shop/views.py", line=13, function="page"),
        "GET /c": None,
    }
    assert changed_endpoints(changes, {}, shop, handlers) == {"GET /a": ("listing (shop/views.py:10)",)}


def test_a_class_as_handler_counts_with_all_of_its_lines(shop: Path) -> None:
    changes = Changes(base="x", files={"shop/views.py": frozenset({21})})
    handlers = {"GET /d": Place(file="shop/views.py", line=17, function="Detail")}
    assert changed_endpoints(changes, {}, shop, handlers) == {"GET /d": ("Detail (shop/views.py:21)",)}


def test_a_compiled_template_of_a_changed_file_counts_whatever_its_lines(shop: Path) -> None:
    root = Function(file=str(shop / "templates/list.html"), first_line=1, last_line=9, name="root")
    changes = Changes(base="x", files={"templates/list.html": frozenset({40})})
    assert changed_endpoints(changes, {"GET /x": [root]}, shop) == {"GET /x": ("root (templates/list.html:40)",)}


def test_an_import_on_first_use_and_a_library_do_not_count(shop: Path) -> None:
    changes = Changes(base="x", files={"shop/views.py": frozenset({10})})
    executed = {
        "GET /lazy": [Function(file=str(shop / "shop/views.py"), first_line=1, last_line=23, name="<module>")],
        "GET /library": [Function(file=os.__file__, first_line=1, last_line=500, name="walk")],
    }
    assert changed_endpoints(changes, executed, shop) == {}
