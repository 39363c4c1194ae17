"""Turns a server's command line into one that perfcrew can run: its own host and port, one worker, no reloading."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Grammar:
    """How one server reads its command line."""

    switches: frozenset[str]
    """Options without a value; all others take one."""
    dropped: frozenset[str]
    """Options that go, with their value: where it listens, reloading, workers, certificates, users, daemons."""
    binding: tuple[str, ...]
    optional_attribute: bool = False
    """`gunicorn shop.wsgi` means the module's `application`."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UVICORN = Grammar(
    _set(
        "--reload --factory --access-log --no-access-log --use-colors --no-use-colors --proxy-headers --version "
        "--no-proxy-headers --server-header --no-server-header --date-header --no-date-header --reset-contextvars"
    ),
    _set(
        "--reload --host --port --uds --fd --workers --reload-dir --reload-include --reload-exclude --reload-delay "
        "--ssl-keyfile --ssl-certfile --ssl-keyfile-password --ssl-version --ssl-cert-reqs --ssl-ca-certs --ssl-ciphers"
    ),
    ("--host", "{host}", "--port", "{port}"),
)
_GUNICORN = Grammar(
    _set(
        "--reload --preload --preload-app --daemon -D --spew --check-config --print-config --no-sendfile -R "
        "--capture-output --enable-stdio-inheritance --reuse-port --proxy-protocol --disable-redirect-access-to-syslog"
    ),
    _set(
        "--reload --reload-extra-file --reload-engine --bind -b --workers -w --daemon -D --pid -p --user -u --group -g "
        "--certfile --keyfile --ca-certs --umask -m --statsd-host --worker-tmp-dir --check-config --print-config"
    ),
    ("--bind", "{host}:{port}", "--workers", "1"),
    optional_attribute=True,
)
_HYPERCORN = Grammar(
    _set("--debug --reload --version"),
    _set(
        "--reload --debug --bind -b --insecure-bind --quic-bind --workers -w --certfile --keyfile --ca-certs --pid -p "
        "--user -u --group -g --umask -m"
    ),
    ("--bind", "{host}:{port}", "--workers", "1"),
)
_DAPHNE = Grammar(
    _set("--proxy-headers --no-server-name"),
    _set("-b --bind -p --port -u --unix-socket --fd -e --endpoint"),
    ("-b", "{host}", "-p", "{port}"),
)
_GRANIAN = Grammar(
    _set(
        "--reload --no-reload --access-log --no-access-log --ws --no-ws --factory --no-factory --respawn-failed-workers"
    ),
    _set("--reload --no-reload --host --port --workers --uds --ssl-certificate --ssl-keyfile --reload-paths"),
    ("--host", "{host}", "--port", "{port}", "--workers", "1"),
)
_WAITRESS = Grammar(
    _set("--call --expose-tracebacks --no-expose-tracebacks --log-untrusted-proxy-headers"),
    _set("--listen --host --port --unix-socket --unix-socket-perms --call"),
    ("--listen={host}:{port}",),
)
_UWSGI = Grammar(
    _set("--master --enable-threads --die-on-term --vacuum --lazy-apps --single-interpreter -M"), frozenset(), ()
)
_RUN = Grammar(
    _set("--debug --reload --no-reload --debugger --no-debugger --with-threads --without-threads"),
    _set(
        "--host -h --port -p --debug --reload --no-reload --debugger --cert --key --extra-files --reload-dir --workers"
    ),
    ("--host", "{host}", "--port", "{port}"),
)
GRAMMARS = {
    "uvicorn": _UVICORN,
    "gunicorn": _GUNICORN,
    "hypercorn": _HYPERCORN,
    "daphne": _DAPHNE,
    "granian": _GRANIAN,
    "waitress-serve": _WAITRESS,
    "uwsgi": _UWSGI,
}
RUNS = {"flask": {"run"}, "quart": {"run"}, "fastapi": {"run", "dev"}}
MODULES = {"waitress": "waitress-serve", "waitress.runner": "waitress-serve", "django": "django-admin"}
TARGET = re.compile(r"[A-Za-z_][\w./-]*(?::[\w.]+(?:\(.*\))?)?")


@dataclass(frozen=True)
class Serving:
    """A start command in our form: `words` carry `{host}` and `{port}`, and begin with a program's plain name."""

    server: str
    words: tuple[str, ...]
    target: str | None = None
    """`module:attribute` as the command names it, `module:factory()` for a factory; None where it names none."""
    app_dir: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runs:
    """A command that runs a Python file, a module, or a console script, which may turn out to serve."""

    kind: str
    """`file`, `module` or `script`."""
    name: str
    arguments: tuple[str, ...]
    words: tuple[str, ...]


def recognise(words: Sequence[str]) -> Serving | Runs | None:
    """What a command runs: a server that we know, or something of the project's that must be looked into."""
    program = os.path.basename(words[0])
    rest = list(words[1:])
    if re.fullmatch(r"python[\d.]*", program):
        return _python(rest)
    if program in ("manage.py", "django-admin"):
        return _django([program], rest)
    if program in RUNS:
        return _run(program, rest)
    if program in GRAMMARS:
        return _served(program, rest)
    if program.endswith(".py"):
        return Runs("file", words[0], tuple(rest), ("python", *words))
    return Runs("script", program, tuple(rest), (program, *rest))


def _python(rest: list[str]) -> Serving | Runs | None:
    while rest and rest[0].startswith("-") and rest[0] != "-m":
        rest = rest[2:] if rest[0] in ("-W", "-X") else rest[1:]
    if rest[:1] == ["-m"] and len(rest) > 1:
        name = MODULES.get(rest[1], rest[1])
        if name in GRAMMARS or name in RUNS or name == "django-admin":
            return recognise([name, *rest[2:]])
        return Runs("module", rest[1], tuple(rest[2:]), ("python", *rest))
    if not rest:
        return None
    if os.path.basename(rest[0]) == "manage.py":
        return _django(["python", rest[0]], rest[1:])
    return Runs("file", rest[0], tuple(rest[1:]), ("python", *rest))


def _django(head: list[str], rest: list[str]) -> Serving | None:
    if not rest or rest[0] not in ("runserver", "runserver_plus"):
        return None
    dropped = {"--reload", "--reloader-type", "--cert-file", "--cert", "--noreload"}
    kept = [w for w in rest[1:] if w.startswith("-") and w.partition("=")[0] not in dropped]
    words = (*(["python", "manage.py"] if head == ["manage.py"] else head), "runserver", "{host}:{port}", "--noreload")
    return Serving("django", (*words, *kept))


def _run(program: str, rest: list[str]) -> Serving | None:
    """`flask --app x run --port 80`: options stand before and after the subcommand."""
    at = next((i for i, w in enumerate(rest) if w in RUNS[program]), None)
    if at is None:
        return None
    head = [w for w in rest[:at] if w not in ("--debug", "--no-debug")]
    kept = list(_kept(rest[at + 1 :], _RUN))
    target = _value(rest[:at], "--app", "-A")
    if program == "fastapi":
        target = next((w for pair in kept for w in pair if not w.startswith("-")), None)
    words = (program, *head, "run", *(w for pair in kept for w in pair), *_RUN.binding)
    return Serving(program, words, target, notes=_notes(rest))


def _served(program: str, rest: list[str]) -> Serving | None:
    grammar = GRAMMARS[program]
    if program == "uwsgi":
        return _uwsgi(rest)
    kept = list(_kept(rest, grammar))
    target = next((pair[0] for pair in kept if len(pair) == 1 and _names_app(pair[0], grammar)), None)
    if target is None:
        return None
    words = (program, *(w for pair in kept for w in pair), *grammar.binding)
    named = f"{target}:application" if ":" not in target and grammar.optional_attribute else target
    factory = "--factory" in rest or "--call" in rest
    serving = Serving(program, words, f"{named}()" if factory else named, notes=_notes(rest))
    if factory and program == "waitress-serve":
        serving = replace(serving, words=("waitress-serve", *grammar.binding, "--call", target))
    return replace(serving, app_dir=_value(rest, "--app-dir", "--chdir", "--pythonpath"))


def _uwsgi(rest: list[str]) -> Serving | None:
    module = _value(rest, "--module", "-w", "--wsgi")
    callable_ = _value(rest, "--callable") or "application"
    if module is None:
        return None
    target = module if ":" in module else f"{module}:{callable_}"
    return Serving("uwsgi", ("uwsgi",), target, notes=_notes(rest))


def _names_app(word: str, grammar: Grammar) -> bool:
    return bool(TARGET.fullmatch(word)) and (":" in word or grammar.optional_attribute)


def _kept(words: Sequence[str], grammar: Grammar) -> Iterator[tuple[str, ...]]:
    """The arguments that stay, an option together with its value."""
    rest = list(words)
    while rest:
        option = rest[0].partition("=")[0]
        alone = not option.startswith("-") or "=" in rest[0] or option in grammar.switches
        pair = tuple(rest[: 1 if alone else 2])
        rest = rest[len(pair) :]
        glued = re.match(r"-[bpwh](?=[\d.:\[])", option)
        if option not in grammar.dropped and not (glued and glued[0] in grammar.dropped) and not _logs_to_file(pair):
            yield pair


def _logs_to_file(pair: tuple[str, ...]) -> bool:
    """A log or pid file at an absolute place belongs to a machine that this is not."""
    option, _, value = pair[0].partition("=")
    value = value or (pair[1] if len(pair) > 1 else "")
    return option in ("--access-logfile", "--error-logfile", "--log-file") and value.startswith("/")


def _value(words: Sequence[str], *options: str) -> str | None:
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in options:
            return value if equals else (words[i + 1] if i + 1 < len(words) else None)
    return None


def workers_note(asked: str) -> str:
    """What a reader is told where several were asked for; `perfcrew.target.workers` reads it back."""
    return f"one worker instead of {asked}"


def workers_noted(why: str) -> str:
    """That note out of the reasons for a start command, empty where it is not there."""
    found = re.search(rf"; {workers_note('')}\S+", why)
    return found[0] if found else ""


def _notes(words: Sequence[str]) -> tuple[str, ...]:
    """What was changed that a reader of the measurements should know."""
    notes = []
    workers = _value(words, "--workers", "-w")
    if workers and workers != "1":
        notes.append(workers_note(workers))
    if any(w.partition("=")[0] in ("--reload", "--debug", "dev") for w in words):
        notes.append("without reloading or debugging")
    return tuple(notes)
