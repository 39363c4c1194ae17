"""What the last lines of a target's log say about why it does not run, as something to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple


class _Hint(NamedTuple):
    pattern: re.Pattern[str]
    do: Callable[[re.Match[str], Path], str]


def _module(match: re.Match[str], python: Path) -> str:
    name = match.group(1)
    return (
        f"the module {name} is missing: install it for {python}, or set `target.python` in perfcrew.toml to the "
        f"interpreter that has it; if it is the project's own, set `target.workdir` to the folder that holds it"
    )


def _variable(match: re.Match[str], python: Path) -> str:
    name = next(group for group in match.groups() if group)
    return f'the environment variable {name} is missing: add `{name} = "…"` under [target.environment] in perfcrew.toml'


_TABLE: tuple[_Hint, ...] = tuple(
    _Hint(re.compile(pattern, re.MULTILINE), do)
    for pattern, do in (
        (r"ModuleNotFoundError: No module named '([^']+)'", _module),
        (r"ImportError: cannot import name '([^']+)' from '([^']+)'", lambda m, p: (
            f"{m.group(2)} has no {m.group(1)}: the installed version does not fit; use the project's lock file, or "
            f"install as of an earlier date (`uv pip install --exclude-newer DATE`)")),
        (r"Error loading ASGI app\. (.+)", lambda m, p: f"{m.group(1)}: correct `target.app` in perfcrew.toml"),
        (r"(?i)address already in use|failed to bind to address", lambda m, p:
            "its port is taken although another was free: let the start command carry `{port}`; for a second port that "
            "it opens (gRPC, metrics) set the variable that carries it to `{free_port}` under [target.environment]"),
        (r"^KeyError: '([A-Z][A-Z0-9_]{2,})'"
         r"|Set the ([A-Z][A-Z0-9_]+) environment variable"
         r"|UndefinedValueError: ([A-Z][A-Z0-9_]+) not found"
         r"|Config '([A-Z][A-Z0-9_]+)' is missing"
         r"|^(?:\w+\.)*([A-Za-z][A-Za-z0-9_]+)\n  Field required \[type=missing", _variable),
        (r"(?i)(no such table:? \S+|relation \"[^\"]+\" does not exist|UndefinedTable)", lambda m, p:
            f"{m.group(1)}: set `target.migrate` in perfcrew.toml to the command that makes the tables"),
        (r"(?i)(password authentication failed[^\n]*|(?:role|database) \"[^\"]+\" does not exist)",
            lambda m, p: f"{m.group(1)}: check the database URL"),
        (r"(?i)(connection (?:to [^\n]* )?(?:was )?refused|ConnectionRefusedError)", lambda m, p:
            "a service that it needs is not running: start it (database, Redis, …), or point its address elsewhere"),
        (r"(?i)(cluster mode is not enabled|cluster support disabled|unknown command [`']?sentinel)", lambda m, p:
            "the Redis that it was given is one server, no cluster and no sentinel: turn that off for the review under "
            "[target.environment] in perfcrew.toml, or let it use your own by `shared_redis = true` under [target]"),
        (r"PermissionError: [^\n]*: '([^']+)'", lambda m, p: f"it may not use {m.group(1)}: check who owns it"),
        (r"SyntaxError: ", lambda m, p: f"the code does not parse: is {p} the Python version that it is written for?"),
    )
)  # fmt: skip


def what_to_do(tail: str, python: Path) -> str:
    """The named remedy for the last known complaint in a log, empty where none is recognised."""
    best, at = "", -1
    for hint in _TABLE:
        for match in hint.pattern.finditer(tail):
            if match.start() > at:
                best, at = hint.do(match, python), match.start()
    return best


_SECRET_NAME = re.compile(r"(?i)secret|passw|passphrase|_pass$|_pwd$|token|api_?key|private|credential|_key$|_salt$")
_URL_PASSWORD = re.compile(r"(://[^\s:/@]{0,200}:)[^\s@/]{1,500}@")  # bounded: a log may be one line of megabytes
_LINE_CHARACTERS = 1000


def redact(text: str, environment: Mapping[str, str]) -> str:
    """The text without the passwords of URLs and without the values of variables whose names speak of secrets."""
    secrets = {value for name, value in environment.items() if len(value) >= 6 and _SECRET_NAME.search(name)}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _URL_PASSWORD.sub(r"\1***@", text)


def readable(text: str, environment: Mapping[str, str]) -> str:
    """The end of a log as it may be shown: redacted, no line longer than a screen."""
    lines = redact(text, environment).splitlines()
    return "\n".join(x if len(x) <= _LINE_CHARACTERS else f"{x[:_LINE_CHARACTERS]} [...]" for x in lines)
