"""Which changes are refused, by name, and their look-alikes, which are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.experiment.policy import Change, refusal, weakening

REFUSED = {
    "tests/test_books.py": "tests",
    "test/helpers.py": "tests",
    "app/tests/factories.py": "tests",
    "shop/tests.py": "tests",
    "test_main.py": "tests",
    "app/books_test.py": "tests",
    "conftest.py": "tests",
    "src/pages/Books.test.tsx": "tests",
    "web/list.spec.js": "tests",
    "pytest.ini": "tests",
    "tox.ini": "tests",
    "uv.lock": "a lock file",
    "web/package-lock.json": "a lock file",
    "poetry.lock": "a lock file",
    "web/yarn.lock": "a lock file",
    ".github/workflows/ci.yml": "CI",
    ".gitlab-ci.yml": "CI",
    "Jenkinsfile": "CI",
    ".pre-commit-config.yaml": "CI",
    "perfcrew.toml": "perfcrew's configuration",
    ".perfcrew/config/gate.yaml": "perfcrew's configuration",
    ".gitattributes": "git's own files",
    ".git/hooks/pre-commit": "git's own files",
    ".env": "secrets",
    "deploy/.env.production": "secrets",
    "requirements.txt": "the dependencies",
    "requirements-dev.txt": "the dependencies",
    "web/package.json": "the dependencies",
    "sitecustomize.py": "how the interpreter starts",
    "sitecustomize/__init__.py": "how the interpreter starts",
    ".python-version": "how the interpreter starts",
    "TESTS/test_books.py": "tests",
    "Conftest.py": "tests",
    "pytest.py": "tests",
    "src/coverage/__init__.py": "tests",
    "features/buy.feature": "tests",
    "Makefile": "how tests are run",
    "mypy.ini": "the type check",
    "web/tsconfig.json": "the type check",
    "ruff.toml": "the lint rules",
    "web/.eslintrc.json": "the lint rules",
    "web/node_modules/x/index.js": "installed packages",
    ".venv/lib/python3.11/site-packages/x.py": "installed packages",
    "AGENTS.md": "what assistants are told",
    ".claude/settings.json": "what assistants are told",
    "PERFCREW.toml": "perfcrew's configuration",
    ".husky/pre-commit": "git's own files",
    "deploy/.envrc": "secrets",
    "constraints.txt": "the dependencies",
}
LET = (
    *("app/main.py", "src/latest.py", "app/attest.py", "testimonials/views.py", "contest/models.py", "app/env.py"),
    *("app/protest/views.py", "shop/locking.py", "shop/block.lock.py", "migrations/versions/0002_index.py"),
    *("gunicorn.conf.py", "app/testing_ground.py", "environment.py", "static/app.js", "perfcrew_notes.py"),
    *("app/coverage_of_stock.py", "app/agents.py", "docs/agents/intro.md", "shop/makefiles.py", "app/venv_info.py"),
)


@pytest.mark.parametrize("name", REFUSED)
def test_off_limits(tmp_path: Path, name: str) -> None:
    assert f"it edits {REFUSED[name]}" in refusal(tmp_path, [name])
    assert refusal(tmp_path, ["app/main.py", name])
    assert refusal(tmp_path, [name], allow=[name]) == ""


@pytest.mark.parametrize("name", ["conftest.py ", " app/main.py", "tests /test_books.py"])
def test_a_name_that_only_looks_like_another_is_refused(tmp_path: Path, name: str) -> None:
    assert "no file has such a name" in refusal(tmp_path, [name])


@pytest.mark.parametrize("name", LET)
def test_source_may_be_edited(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path, [name]) == ""


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/app.py", "app/../../x.py", "", "  ", "a\0b", "..\\x.py"])
def test_what_lies_outside(tmp_path: Path, name: str) -> None:
    assert "outside" in refusal(tmp_path, [name])
    assert "outside" in refusal(tmp_path, [name], allow=["*"])


def test_links_folders_and_other_repositories(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    tree = tmp_path / "tree"
    (tree / "app" / "inner" / ".git").mkdir(parents=True)
    (tree / "out").symlink_to(tmp_path / "elsewhere")
    (tree / "main.py").symlink_to("app/main.py")
    assert "symbolic link" in refusal(tree, ["out/app.py"])
    assert "symbolic link" in refusal(tree, ["main.py"])
    assert "another repository" in refusal(tree, ["app/inner/x.py"])
    assert "replace a folder" in refusal(tree, ["app"])
    assert refusal(tree, ["app/x.py"]) == ""


_PROJECT = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi"]\n'
WEAKENED: dict[str, tuple[str, str, str, str]] = {
    "a test is no longer collected": (
        "pyproject.toml",
        _PROJECT + '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
        _PROJECT + '[tool.pytest.ini_options]\ntestpaths = ["tests/unit"]\n',
        "tests",
    ),
    "tests are given options": ("pyproject.toml", _PROJECT, _PROJECT + "[tool.pytest.ini_options]\nx = 1\n", "tests"),
    "options in setup.cfg": ("setup.cfg", "[tool:pytest]\nx=1\n", "[tool:pytest]\nx=1\naddopts=-k no\n", "tests"),
    "a dependency": (
        "pyproject.toml",
        _PROJECT,
        _PROJECT.replace('["fastapi"]', '["fastapi", "orjson"]'),
        "the dependencies",
    ),
    "the type check": ("pyproject.toml", _PROJECT, _PROJECT + "[tool.mypy]\nignore_errors = true\n", "the type check"),
    "knows pytest": ("app.py", "x = 1\n", 'x = 1\nif "pytest" in sys.modules:\n    x = 2\n', "tested"),
    "knows the test": ("app.py", "", 'fast = "PYTEST_CURRENT_TEST" not in os.environ\n', "tested"),
    "knows us": ("app.py", "", 'cached = "PERFCREW_OWNED" in os.environ\n', "measured by perfcrew"),
}
UNCHANGED: dict[str, tuple[str, str | None, str | None]] = {
    "a version": ("pyproject.toml", _PROJECT, _PROJECT.replace('"1"', '"2"')),
    "what it knew before": (
        "app.py",
        'if "pytest" in sys.modules: pass\n',
        'if "pytest" in sys.modules: pass\nx = 1\n',
    ),
    "a word in a text": ("app.py", "", '"""Tested with pytest; measured."""\n'),
    "a removed file": ("app.py", "x = 1\n", None),
    "an own section": ("setup.cfg", "[metadata]\nname=x\n", "[metadata]\nname=y\n"),
}


@pytest.mark.parametrize("case", WEAKENED)
def test_what_judges_is_not_weakened(case: str) -> None:
    name, before, after, what = WEAKENED[case]
    assert what in weakening({name: Change(before, after)})
    assert weakening({name: Change(before, before)}) == ""


@pytest.mark.parametrize("case", UNCHANGED)
def test_what_is_no_weakening(case: str) -> None:
    name, before, after = UNCHANGED[case]
    assert weakening({name: Change(before, after)}) == ""
