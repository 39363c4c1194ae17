"""Reads the shell lines that start commands are written in: wrappers, assignments, variables, chains.

Refuses to be a shell: substitutions (`$(…)`), pipes and conditions are not worked out, their commands are left out.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-+=?])((?:[^{}]|\{[^{}]*\})*))?\}|(\w+))")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
SEPARATORS = {"&&", ";", "||", "&", "|", "\n", ";;", "|&"}
KEYWORDS = {"exec", "then", "else", "do", "nohup", "time", "command", "sudo"}
RUNNERS = {"uv": "run", "poetry": "run", "pipenv": "run", "pdm": "run", "hatch": "run", "rye": "run", "conda": "run"}
"""Programs that run their arguments within the project's environment, with the word that comes before them."""
VALUED = {"--group", "--extra", "--with", "--env-file", "--package", "--directory", "--project", "--python", "-p", "-n"}
SHELLS = {"sh", "bash", "dash", "ash", "zsh"}
WRAPPERS = {"tini", "dumb-init", "opentelemetry-instrument", "ddtrace-run", "env", "gosu", "su-exec", "exec", "dotenv"}


@dataclass(frozen=True)
class Command:
    """One simple command, with the environment and folder that the line set before it."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    """Relative to where the line starts; empty where there was no `cd`."""


def substituted(text: str, environment: Mapping[str, str]) -> str:
    """The text with variables put in: PORT and HOST become our placeholders, unknown ones their default or nothing."""

    def value(match: re.Match[str]) -> str:
        name, operator, default = match[1] or match[4], match[2], match[3] or ""
        if name == "PORT" or (name.endswith("_PORT") and name not in environment):
            return "{port}"
        if name == "HOST":
            return "{host}"
        if name in environment:
            return environment[name]
        return substituted(default, environment) if operator == "-" else ""

    return _VARIABLE.sub(value, text)


def commands(text: str, environment: Mapping[str, str]) -> list[Command]:
    """The simple commands of a shell text, in order, wrappers removed. Empty where its quoting can't be read."""
    known = dict(environment)
    folder = ""
    found: list[Command] = []
    for words in _chains(text):
        words = _without_keywords(words)
        if words[:1] == ["cd"] and len(words) > 1:
            folder = os.path.normpath(os.path.join(folder, substituted(words[1], known)))
            continue
        assigned, rest = _assignments(words[1:] if words[:1] == ["export"] else words, known)
        if not rest or words[0] == "export":
            known.update(assigned)
            continue
        inner = Command(tuple(rest), {**_new(known, environment), **assigned}, folder)
        found += _unwrapped(inner, known)
    return found


def of_words(words: Sequence[str], environment: Mapping[str, str]) -> list[Command]:
    """The simple commands of an argument list, as a JSON CMD gives it: no shell, unless it names one."""
    return _unwrapped(Command(tuple(words)), environment)


def _new(known: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in known.items() if before.get(k) != v}


def _chains(text: str) -> Iterable[list[str]]:
    """The words of each simple command. Redirections go, and so does what follows a pipe."""
    joined = text.replace("\\\r\n", " ").replace("\\\n", " ")
    for line in joined.splitlines():
        lexer = shlex.shlex(_COMMENT.sub("", line), posix=True, punctuation_chars="&;|<>")
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            words = list(lexer)
        except ValueError:
            continue
        yield from _split(words)


def _split(words: list[str]) -> Iterable[list[str]]:
    current: list[str] = []
    piped = False
    for word in [*words, ";"]:
        if word in SEPARATORS:
            if current and not piped:
                yield _without_redirections(current)
            current, piped = [], word in ("|", "||")
        else:
            current.append(word)


def _without_redirections(words: list[str]) -> list[str]:
    cut = next((i for i, w in enumerate(words) if w in (">", ">>", "<", "<<", ">&", "&>")), len(words))
    return words[:cut][: -1 if cut < len(words) and words[cut - 1].isdigit() else None]


def _without_keywords(words: list[str]) -> list[str]:
    while words and words[0] in KEYWORDS:
        words = words[1:]
    return words


def _assignments(words: list[str], known: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The leading `NAME=value` words, and the words after them with variables put in."""
    assigned: dict[str, str] = {}
    while words and _ASSIGNMENT.match(words[0]):
        name, _, value = words[0].partition("=")
        assigned[name] = substituted(value, {**known, **assigned})
        words = words[1:]
    scope = {**known, **assigned}
    return assigned, [part for word in words for part in _word(word, scope)]


def _word(word: str, known: Mapping[str, str]) -> list[str]:
    """A bare variable is split at its blanks, and vanishes when it is empty, as a shell does."""
    if word in ("$@", "$*"):
        return [word]
    text = substituted(word, known)
    return shlex.split(text) if _VARIABLE.fullmatch(word) else [text]


def _unwrapped(command: Command, known: Mapping[str, str]) -> list[Command]:
    """The command within `sh -c`, `uv run`, `tini --` and the like."""
    words = list(command.words)
    if not words:
        return []
    program = os.path.basename(words[0])
    if program in SHELLS and (text := _shell_text(words)) is not None:
        inner = commands(text, {**known, **command.environment})
        return [_within(command, c) for c in inner]
    if program in RUNNERS and RUNNERS[program] in words[1:3]:
        rest = _after_options(words[words.index(RUNNERS[program]) + 1 :])
        module = (
            ["python", "-m"] if program == "uv" and {"-m", "--module"} & set(words[: len(words) - len(rest)]) else []
        )
        return _unwrapped(_with(command, [*module, *rest]), known)
    if program == "newrelic-admin" and words[1:2] == ["run-program"]:
        return _unwrapped(_with(command, words[2:]), known)
    if program in WRAPPERS:
        rest = _after_options(words[1:])
        rest = rest[1:] if program in ("gosu", "su-exec") or (program == "dotenv" and rest[:1] == ["run"]) else rest
        assigned, rest = _assignments(rest, known)
        merged = Command(tuple(rest), {**command.environment, **assigned}, command.folder)
        return _unwrapped(merged, known)
    return [command]


def _with(command: Command, words: list[str]) -> Command:
    return Command(tuple(words), command.environment, command.folder)


def _within(outer: Command, inner: Command) -> Command:
    folder = os.path.normpath(os.path.join(outer.folder, inner.folder)) if outer.folder or inner.folder else ""
    return Command(inner.words, {**outer.environment, **inner.environment}, folder)


def _shell_text(words: list[str]) -> str | None:
    """What `sh -c TEXT` runs; None for `sh file.sh`."""
    for i, word in enumerate(words[1:-1], start=1):
        if word.startswith("-") and not word.startswith("--") and word.endswith("c"):
            return words[i + 1]
    return None


def _after_options(words: list[str]) -> list[str]:
    """The words from the first that is no option (nor an option's value)."""
    while words and words[0].startswith("-"):
        if words[0] == "--":
            return words[1:]
        words = words[2:] if words[0] in VALUED else words[1:]
    return words
