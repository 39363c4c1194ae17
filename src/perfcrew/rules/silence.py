"""What a project chose not to hear: ignores in the source or configuration, and acknowledgements. All may expire.

In the source, on the culprit's or the trigger's line or alone on the line above:
`# perfcrew: ignore[DB101] until=2027-03-01 reason=the table never holds more than ten rows`.
A finding that is silenced stays in the result with its status and reason. One without a reason, or past its date, is
not honoured, and the finding says so.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from perfcrew.core.findings import Finding
from perfcrew.rules import source

_IGNORE = re.compile(r"perfcrew:\s*ignore\[(?P<rules>[\w\s,*]+)\](?P<rest>.*)", re.IGNORECASE)
_UNTIL = re.compile(r"until=(\S+)")
_REASON = re.compile(r"reason=(.+)")

Status = Literal["ignored", "acknowledged"]


class Ignore(NamedTuple):
    """An ignore in the source, as written. `until` None: it has no end; `broken`: its date can't be read."""

    rules: frozenset[str]
    until: date | None
    reason: str
    where: str
    broken: bool


class Entry(Protocol):
    """One `[[ignore]]` or `[[acknowledge]]` of perfcrew.toml. None matches anything; file and endpoint may be globs.

    An entry may also have an `id`: the one finding that it is about.
    """

    @property
    def rule(self) -> str: ...
    @property
    def file(self) -> str | None: ...
    @property
    def endpoint(self) -> str | None: ...
    @property
    def until(self) -> date | None: ...
    @property
    def reason(self) -> str: ...


def silenced(
    findings: Iterable[Finding],
    root: Path,
    ignores: Iterable[Entry] = (),
    acknowledged: Iterable[Entry] = (),
    today: date | None = None,
) -> list[Finding]:
    """The findings with the status that source and configuration give them; the source comes first."""
    day = today or date.today()
    ignored, known = tuple(ignores), tuple(acknowledged)
    in_source = (_ignore(finding, root, day) for finding in findings)
    in_config = (_apply(finding, ignored, "ignored", day) for finding in in_source)
    return [_apply(finding, known, "acknowledged", day) for finding in in_config]


def _ignore(finding: Finding, root: Path, today: date) -> Finding:
    for ignore in _ignores(finding, root):
        if not {finding.rule, "*"} & ignore.rules:
            continue
        refused = _refused(ignore, today)
        status = "open" if refused else "ignored"
        return finding.model_copy(
            update={"status": status, "status_reason": refused or f"{ignore.reason} ({_ending(ignore)})"}
        )
    return finding


def _refused(ignore: Ignore, today: date) -> str:
    if not ignore.reason:
        return f"the ignore at `{ignore.where}` has no reason and is not honoured: add `reason=…`"
    if ignore.broken:
        return f"the ignore at `{ignore.where}` has no readable date and is not honoured: write `until=2027-03-01`"
    if ignore.until and today >= ignore.until:
        return f"the ignore at `{ignore.where}` ended on {ignore.until.isoformat()}"
    return ""


def _ending(ignore: Ignore) -> str:
    end = f", until {ignore.until.isoformat()}" if ignore.until else ", without an end"
    return f"ignored at `{ignore.where}`{end}"


def _ignores(finding: Finding, root: Path) -> list[Ignore]:
    found = []
    for place in (finding.place, finding.trigger):
        text = source.read(root / place.file) if place else None
        if place and text:
            lines = [place.line] + ([place.line - 1] if text.line(place.line - 1).lstrip().startswith("#") else [])
            found += [i for n in lines if (i := _parsed(text.comments.get(n, ""), f"{place.file}:{n}"))]
    return found


def _parsed(comment: str, where: str) -> Ignore | None:
    match = _IGNORE.search(comment)
    if match is None:
        return None
    rest = match["rest"]
    until, reason = _UNTIL.search(rest), _REASON.search(rest)
    end = _date(until[1]) if until else None
    rules = frozenset(r.strip().upper() for r in match["rules"].split(","))
    text = _UNTIL.sub("", reason[1]).strip() if reason else ""
    return Ignore(rules, end, text, where, until is not None and end is None)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _apply(finding: Finding, entries: tuple[Entry, ...], status: Status, today: date) -> Finding:
    matching = [e for e in entries if finding.status == "open" and _matches(e, finding)]
    live = next((e for e in matching if e.reason.strip() and (e.until is None or today < e.until)), None)
    if live:
        end = f" until {live.until.isoformat()}" if live.until else ""
        return finding.model_copy(update={"status": status, "status_reason": f"{live.reason} ({status}{end})"})
    if matching and not finding.status_reason:
        return finding.model_copy(update={"status_reason": _lapsed(matching[0], status)})
    return finding


def _lapsed(entry: Entry, status: Status) -> str:
    if not entry.reason.strip():
        return f"{status} in `perfcrew.toml` without a reason: not honoured"
    return f"{status} in `perfcrew.toml`, which ended on {entry.until.isoformat() if entry.until else 'its date'}"


def _matches(entry: Entry, finding: Finding) -> bool:
    files = [p.file for p in (finding.place, finding.trigger) if p]
    endpoints = [e for e in (finding.endpoint, *finding.also) if e]
    only = getattr(entry, "id", None)
    return (
        entry.rule.upper() in (finding.rule, "*")
        and (only is None or only == finding.id)
        and (entry.file is None or any(fnmatch.fnmatchcase(f, entry.file) for f in files))
        and (
            entry.endpoint is None
            or any(e == entry.endpoint or fnmatch.fnmatchcase(e, entry.endpoint) for e in endpoints)
        )
    )
