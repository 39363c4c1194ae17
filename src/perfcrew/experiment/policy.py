"""Which changes are tried: of the target's own source, and neither of what judges it nor of what it is judged by."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_TESTS = "tests"
DEPENDENCIES, LOCKED = "the dependencies", "a lock file"
_OFF_LIMITS: tuple[tuple[str, str], ...] = (
    (r"(^|/)(tests?|__tests__|__snapshots__|e2e|cypress)/", _TESTS),
    (r"(^|/)(test_[^/]*|[^/]*_tests?|tests?|conftest)\.py$|(^|/)[^/]*[._](test|spec)\.[cm]?[jt]sx?$", _TESTS),
    (r"(^|/)(\.?pytest\.ini|pytest\.toml|tox\.(ini|toml)|noxfile\.py|\.coveragerc)$", _TESTS),
    (r"(^|/)(jest|vitest|playwright|cypress|karma)\.config\.[^/]+$", _TESTS),
    (r"(^|/)(_?pytest|pluggy|coverage|unittest|nose2?)(\.py$|/)|_spec\.rb$|\.feature$", _TESTS),
    (r"(^|/)(\.mocharc|\.nycrc)[^/]*$|(^|/)(behave\.ini|cypress\.json)$", _TESTS),
    (r"(^|/)((GNU)?makefile|justfile|taskfile\.ya?ml)$", "how tests are run"),
    (r"(^|/)(\.?mypy\.ini|pyrightconfig\.json|tsconfig[^/]*\.json)$", "the type check"),
    (r"(^|/)(\.?ruff\.toml|\.flake8|\.?pylintrc|biome\.jsonc?|\.?eslint(rc)?(\.[^/]*)?)$", "the lint rules"),
    (r"(^|/)(node_modules|site-packages|\.?venv|\.tox|\.nox)/", "installed packages"),
    (
        r"(^|/)(CLAUDE|AGENTS|GEMINI)(\.local)?\.md$|(^|/)\.(claude|cursor|windsurf)(/|rules)",
        "what assistants are told",
    ),
    (r"(^|/)copilot-instructions\.md$", "what assistants are told"),
    (r"(^|/)(uv|poetry|pdm|pixi|Pipfile|pylock|yarn|bun|Gemfile|Cargo|composer)\.(lock|toml)$", LOCKED),
    (r"(^|/)(package-lock|npm-shrinkwrap)\.json$|(^|/)pnpm-lock\.yaml$|(^|/)bun\.lockb$", LOCKED),
    (r"(^|/)\.(github|gitlab|circleci|buildkite|azure-pipelines|woodpecker)(/|\.)", "CI"),
    (r"(^|/)\.(gitlab-ci|travis|drone|cirrus|appveyor|pre-commit-config)\.ya?ml$", "CI"),
    (r"(^|/)(Jenkinsfile|azure-pipelines\.ya?ml|bitbucket-pipelines\.ya?ml)$", "CI"),
    (r"(^|/)perfcrew\.toml$|(^|/)\.perfcrew(/|$)", "perfcrew's configuration"),
    (r"(^|/)\.git(/|$)|(^|/)\.git(attributes|modules|ignore)$|(^|/)\.husky/", "git's own files"),
    (r"(^|/)(\.env(rc|\.[^/]*)?|[^/]*\.env)$", "secrets"),
    (r"(^|/)(sitecustomize|usercustomize)(\.py$|/)|\.pth$", "how the interpreter starts"),
    (r"(^|/)(\.python-version|runtime\.txt|\.tool-versions|\.nvmrc)$", "how the interpreter starts"),
)
_DEPENDENCIES = (
    r"(^|/)((requirements|constraints)([^/]*|/[^/]+)\.(txt|in)|hatch\.toml|Pipfile|environment\.ya?ml|package\.json"
    r"|setup\.py)$"
)
_CONFIGURATIONS = {"pyproject.toml", "setup.cfg"}
_TABLES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("tool", "pytest"), _TESTS),
    (("tool", "coverage"), _TESTS),
    (("tool", "perfcrew"), "perfcrew's configuration"),
    (("tool", "tox"), _TESTS),
    (("tool", "hatch"), _TESTS),
    (("tool", "nox"), _TESTS),
    (("tool", "poe"), _TESTS),
    (("tool", "taskipy"), _TESTS),
    (("project", "entry-points"), _TESTS),
    (("tool", "mypy"), "the type check"),
    (("tool", "ty"), "the type check"),
    (("tool", "pyright"), "the type check"),
    (("tool", "ruff"), "the lint rules"),
)
_KNOWS: tuple[tuple[str, str], ...] = (
    (r"PYTEST_CURRENT_TEST|PYTEST_VERSION|['\"](pytest|unittest)['\"]\s+in\s+sys\.(modules|argv)", "it is tested"),
    (r"['\"]testserver['\"]|['\"]test['\"]\s+in\s+sys\.argv|_called_from_test", "it is tested"),
    (r"\bPERFCREW\w*|['\"]perfcrew['\"/-]", "it is measured by perfcrew"),
)


@dataclass(frozen=True)
class Change:
    """A file's text before and after; None where there is none."""

    before: str | None
    after: str | None


def refusal(tree: Path, paths: Iterable[str], allow: Sequence[str] = ()) -> str:
    """Why a change of these paths (relative to the tree) is not tried; empty where it may be. `allow`: globs."""
    for name in paths:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not name.strip() or re.search(r"[\0\\]", name):
            return f"it writes outside the project: {name!r}"
        if any(part != part.strip() for part in pure.parts):
            return f"no file has such a name: {name!r}"
        if why := _linked(tree, pure):
            return why
        if not allowed(name, allow) and (what := off_limits(name)):
            return f"it edits {what}, which is off limits: {name}"
    return ""


def off_limits(name: str) -> str:
    """What kind of file it is that no change may edit, whatever the case: some systems know none; empty for source."""
    found = (what for pattern, what in _OFF_LIMITS if re.search(pattern, name, re.IGNORECASE))
    dependencies = DEPENDENCIES if re.search(_DEPENDENCIES, name, re.IGNORECASE) else ""
    return next(found, dependencies)


def allowed(name: str, allow: Sequence[str]) -> bool:
    """Whether the project's policy lets changes edit this file all the same."""
    return any(fnmatch.fnmatchcase(name, glob) for glob in allow)


def _linked(tree: Path, pure: PurePosixPath) -> str:
    """Why the path does not end up in the tree's own files: through a link, or into a submodule."""
    at = tree
    for part in pure.parts:
        at = at / part
        if at.is_symlink():
            return f"it writes through a symbolic link: {pure}"
        if at != tree and (at / ".git").exists():
            return f"it writes into another repository: {pure}"
    return f"it would replace a folder: {pure}" if at.is_dir() else ""


def weakening(changes: Mapping[str, Change], allow: Sequence[str] = ()) -> str:
    """What a change does to what judges it, beyond the files that are off limits; empty where nothing.

    It may not change the configuration of tests and checks, the dependencies (the environment is the same on both
    sides), nor let the code know that it is tested or measured.
    """
    for name, change in changes.items():
        if allowed(name, allow):
            continue
        what = _configuration(name, change) if PurePosixPath(name).name in _CONFIGURATIONS else ""
        if what:
            return f"it edits {what}, which is off limits: {name}"
        if knows := _knows(change):
            return f"it makes the code know that {knows}: {name}"
    return ""


def _configuration(name: str, change: Change) -> str:
    if name.endswith(".cfg"):
        return next(
            (what for part, what in _SECTIONS if _section(change.before, part) != _section(change.after, part)), ""
        )
    before, after = _toml(change.before), _toml(change.after)
    if after is None:
        return "a configuration that can't be read any more"
    for keys, what in _TABLES:
        if _at(before, keys) != _at(after, keys):
            return what
    same = all(_at(before, keys) == _at(after, keys) for keys in _REQUIRED)
    return "" if same else DEPENDENCIES


_REQUIRED = (
    *(("project", "dependencies"), ("project", "optional-dependencies"), ("dependency-groups",), ("build-system",)),
    *(("tool", "poetry"), ("tool", "pdm"), ("tool", "uv"), ("project", "requires-python")),
)
_SECTIONS = (
    *(("tool:pytest", _TESTS), ("pytest", _TESTS), ("coverage:run", _TESTS), ("mypy", "the type check")),
    *(("flake8", "the lint rules"), ("options", DEPENDENCIES), ("options.extras_require", DEPENDENCIES)),
)


def _section(text: str | None, name: str) -> str:
    found = re.search(rf"^\[{re.escape(name)}\][^\n]*\n(.*?)(?=^\[|\Z)", text or "", re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def _toml(text: str | None) -> dict[str, object] | None:
    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        return None


def _at(table: object, keys: Sequence[str]) -> object:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _knows(change: Change) -> str:
    """What the new lines ask about their surroundings that only tests and measurements answer."""
    old = set((change.before or "").splitlines())
    new = [line for line in (change.after or "").splitlines() if line not in old]
    return next((what for pattern, what in _KNOWS if any(re.search(pattern, line) for line in new)), "")
