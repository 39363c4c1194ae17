"""Reads a Dockerfile: the environment, folder, entry point, command and health check of its last stage."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
_PATH = re.compile(r"https?://[^/\s\"']+(/[^\s\"'|;&)]*)")


@dataclass(frozen=True)
class Stage:
    """What one stage of a Dockerfile ends with. A JSON form is a list, a shell form a text."""

    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    entrypoint: list[str] | str | None = None
    command: list[str] | str | None = None
    line: int = 0
    health: str | None = None


def last_stage(text: str) -> Stage | None:
    """The last stage that has a command; stages inherit from those that they are made from."""
    stages: dict[str, Stage] = {}
    current, name = Stage(), ""
    for number, verb, rest in _instructions(text):
        if verb == "FROM":
            words = rest.split()
            base = next((w for w in words if not w.startswith("--")), "")
            name = words[-1] if len(words) > 2 and words[-2].lower() == "as" else base
            current = stages.get(base, Stage())
        else:
            current = _applied(current, verb, rest, number)
        stages[name] = current
    with_command = [s for s in stages.values() if s.command or s.entrypoint]
    return with_command[-1] if with_command else None


def health_path(text: str) -> str | None:
    """The path of the first URL in a health check's command."""
    found = _PATH.search(text)
    return found[1] if found and found[1] != "/" else None


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    pending, started = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        started = started or number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        if match := _INSTRUCTION.fullmatch(pending + line.strip()):
            yield started, match[1].upper(), match[2].strip()
        pending, started = "", 0


def _applied(stage: Stage, verb: str, rest: str, number: int) -> Stage:
    if verb in ("ENV", "ARG"):
        return replace(stage, environment={**stage.environment, **_pairs(rest, verb)})
    if verb == "WORKDIR":
        return replace(stage, workdir=rest)
    if verb == "ENTRYPOINT":
        return replace(stage, entrypoint=_form(rest), command=None, line=number)
    if verb == "CMD":
        return replace(stage, command=_form(rest), line=number)
    if verb == "HEALTHCHECK":
        return replace(stage, health=health_path(rest))
    return stage


def _pairs(rest: str, verb: str) -> dict[str, str]:
    try:
        words = shlex.split(rest)
    except ValueError:
        return {}
    if words and "=" not in words[0]:
        return {words[0]: " ".join(words[1:])} if verb == "ENV" else {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def _form(rest: str) -> list[str] | str:
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except ValueError:
            return rest
        return [str(word) for word in words]
    return rest
