"""What a project chose not to hear: ignores in the source, and acknowledgements in its configuration. Both expire.

In the source, on the culprit's or the trigger's line or alone on the line above:
`# perfcrew: ignore[DB101] until=2027-03-01 reason=the table never holds more than ten rows`.
A finding that is silenced stays in the result with its status and reason. One without a reason, or past its date, is
not honoured, and the finding says so.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.errors import UsageError
from perfcrew.core.findings import Finding
from perfcrew.rules import source

_IGNORE = re.compile(r"perfcrew:\s*ignore\[(?P<rules>[\w\s,*]+)\](?P<rest>.*)", re.IGNORECASE)
_UNTIL = re.compile(r"until=(\S+)")
_REASON = re.compile(r"reason=(.+)")


class Ignore(NamedTuple):
    """An ignore in the source, as written. `until` None: it has no end; `broken`: its date can't be read."""

    rules: frozenset[str]
    until: date | None
    reason: str
    where: str
    broken: bool


class Acknowledgement(NamedTuple):
    """A finding that the project knows of. Fields that are None match anything; `file` and `endpoint` may be globs."""

    rule: str
    reason: str
    until: date | None = None
    file: str | None = None
    endpoint: str | None = None
    id: str | None = None


def acknowledgement(values: Mapping[str, object]) -> Acknowledgement:
    """One entry of `[[acknowledge]]`. Raises UsageError without a rule, a reason and a readable date."""
    text = {name: str(value) for name, value in values.items() if value is not None}
    for needed in ("rule", "until", "reason"):
        if not text.get(needed, "").strip():
            raise UsageError(
                f"an acknowledgement without `{needed}`", where="[[acknowledge]]", do=f"add `{needed} = …`"
            )
    until = _date(text["until"])
    if until is None:
        raise UsageError(
            f"an acknowledgement until {text['until']!r}", where="[[acknowledge]]", do="write until = 2027-03-01"
        )
    return Acknowledgement(
        text["rule"].upper(), text["reason"], until, text.get("file"), text.get("endpoint"), text.get("id")
    )


def silence(
    findings: Iterable[Finding], root: Path, acknowledged: Iterable[Acknowledgement], today: date
) -> list[Finding]:
    """The findings with the status that source and configuration give them; an ignore comes first."""
    entries = tuple(acknowledged)
    return [_acknowledge(_ignore(finding, root, today), entries, today) for finding in findings]


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


def _acknowledge(finding: Finding, entries: tuple[Acknowledgement, ...], today: date) -> Finding:
    matching = [e for e in entries if finding.status == "open" and _matches(e, finding)]
    live = [e for e in matching if e.until is None or today < e.until]
    if live:
        end = f" (acknowledged until {live[0].until.isoformat()})" if live[0].until else ""
        return finding.model_copy(update={"status": "acknowledged", "status_reason": f"{live[0].reason}{end}"})
    if matching and matching[0].until and not finding.status_reason:
        ended = f"its acknowledgement ended on {matching[0].until.isoformat()}"
        return finding.model_copy(update={"status_reason": ended})
    return finding


def _matches(entry: Acknowledgement, finding: Finding) -> bool:
    files = [p.file for p in (finding.place, finding.trigger) if p]
    endpoints = [e for e in (finding.endpoint, *finding.also) if e]
    return (
        entry.rule in (finding.rule, "*")
        and (entry.id is None or entry.id == finding.id)
        and (entry.file is None or any(fnmatch.fnmatchcase(f, entry.file) for f in files))
        and (
            entry.endpoint is None
            or any(e == entry.endpoint or fnmatch.fnmatchcase(e, entry.endpoint) for e in endpoints)
        )
    )
