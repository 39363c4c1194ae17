"""Changes that a model writes: diffs and edits by anchor, turned into whole new texts, or refused with the reason.

A hunk of a diff is an edit whose old lines are its anchor: models count lines badly, and the best tree so far has moved
them anyway, so where it says it stands is only asked when it stands there several times. Libraries that read diffs take
the counts in their heads at their word, and refuse what can be applied without a doubt.

Refuses: files that are off limits, what a test or a check would be weakened by, text that does not parse, and a change
that changes nothing. Whether answers stay, and whether it pays, is the experiment's to say.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from perfcrew.core.errors import PerfcrewError
from perfcrew.core.findings import Finding
from perfcrew.core.metrics import METRICS
from perfcrew.core.patches import Declined, Fix
from perfcrew.core.thinking import Edit, WrittenPatch
from perfcrew.crew.answers import PatchAnswer, ProposedPatch
from perfcrew.experiment import policy

MOST = 3
"""Patches of a model that are tried for one finding: the best few."""
_LARGEST = 400
"""Lines that a patch may write anew."""
_CACHED = ("CA",)
"""Rules whose cure may let an answer be old for a while."""
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


class Unfit(PerfcrewError):
    """A patch that can't be applied, or may not be; says exactly why."""


def judged(
    root: Path, finding: Finding, answer: PatchAnswer, allow: Sequence[str]
) -> tuple[list[WrittenPatch], list[str]]:
    """The patches that can be tried, the best first, and what is wrong with the others."""
    taken, faults = [], []
    for n, proposed in enumerate(answer.patches):
        try:
            taken.append(written(root, finding, proposed, allow))
        except Unfit as unfit:
            faults.append(f"patches[{n}]: {unfit.what}")
    return taken, faults


def written(root: Path, finding: Finding, proposed: ProposedPatch, allow: Sequence[str]) -> WrittenPatch:
    """A proposed patch as edits that apply to the tree as it is. Unfit says why they don't."""
    if proposed.hypothesis not in {h.id for h in finding.hypotheses}:
        raise Unfit(f"there is no hypothesis {proposed.hypothesis!r}")
    if bool(proposed.edits) == bool(proposed.diff.strip()):
        raise Unfit("give either edits or a diff")
    unknown = [m for m in proposed.metrics if m not in METRICS]
    if unknown or not proposed.metrics:
        raise Unfit(f"metrics: {', '.join(unknown) or 'none'}; known: {', '.join(METRICS)}")
    edits = tuple(Edit(file=e.file, old=e.old, new=e.new) for e in proposed.edits) or tuple(
        edits_of(root, proposed.diff)
    )
    made = WrittenPatch(
        hypothesis=proposed.hypothesis,
        title=_title(proposed.title),
        edits=edits,
        metrics=proposed.metrics,
        ttl_s=max(0.0, proposed.cache_seconds) if finding.rule[:2] in _CACHED else 0.0,
        trade_offs=proposed.trade_offs,
    )
    texts(root, made, allow)
    return made


def _title(text: str) -> str:
    flat = " ".join(text.split())
    return flat[:100] or "Change what costs"


def texts(root: Path, patch: WrittenPatch, allow: Sequence[str]) -> dict[str, str | None]:
    """The whole new text of each file. Unfit where an edit does not apply, is off limits, or breaks the file."""
    names = list(dict.fromkeys(edit.file for edit in patch.edits))
    if refused := policy.refusal(root, names, allow):
        raise Unfit(refused)
    before = {name: _text(root, name) for name in names}
    after = dict(before)
    for edit in patch.edits:
        after[edit.file] = _edited(after[edit.file], edit)
    for name, text in after.items():
        _sound(name, text or "", before[name])
    if all(before[name] == after[name] for name in names):
        raise Unfit("it changes nothing")
    if refused := policy.weakening({n: policy.Change(before[n], after[n]) for n in names}, allow):
        raise Unfit(refused)
    return dict(after)


def _text(root: Path, name: str) -> str | None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        return None
    path = root / pure
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else None


def _edited(text: str | None, edit: Edit) -> str:
    """The text with one edit made. A line stands whole or not at all: `a = 1` is no anchor in `aa = 1`."""
    if not edit.old.strip():
        if text is not None:
            raise Unfit(f"{edit.file} is there already: an edit without old lines makes a new file")
        return edit.new
    if text is None:
        raise Unfit(f"there is no file {edit.file}")
    places = list(_places(text, edit.old))
    if len(places) != 1:
        count = f"{len(places)} times" if places else "nowhere"
        raise Unfit(f"the old lines stand {count} in {edit.file}, beginning with {edit.old.strip().splitlines()[0]!r}")
    start, end = places[0]
    new = edit.new if not edit.new or edit.new.endswith("\n") or end == len(text) else edit.new + "\n"
    if text[start:end].endswith("\r\n"):
        new = new.replace("\r\n", "\n").replace("\n", "\r\n")
    return text[:start] + new + text[end:]


def _places(text: str, old: str) -> Iterator[tuple[int, int]]:
    """Where these whole lines stand."""
    wanted = old.rstrip("\n").split("\n")
    lines = text.splitlines(keepends=True)
    bare = [line.rstrip("\r\n") for line in lines]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    for n in range(len(bare) - len(wanted) + 1):
        if bare[n : n + len(wanted)] == [w.rstrip("\r") for w in wanted]:
            yield starts[n], starts[n + len(wanted)]


def _sound(name: str, text: str, before: str | None) -> None:
    if len(set(text.splitlines()) - set((before or "").splitlines())) > _LARGEST:
        raise Unfit(f"it writes more than {_LARGEST} lines of {name} anew: the smallest change is wanted")
    if not name.endswith(".py"):
        return
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise Unfit(f"{name} would not parse any more: {error}") from None


def edits_of(root: Path, diff: str) -> Iterator[Edit]:
    """A unified diff as edits. Unfit where it is none, renames, or removes a file."""
    name, found = "", False
    for head, hunk in _hunks(diff):
        name = head or name
        if not hunk:
            continue
        if not name:
            raise Unfit("the diff names no file")
        found = True
        yield _as_edit(root, name, hunk)
    if not found:
        raise Unfit("it is no unified diff: no hunk begins with @@ -line,count +line,count @@")


def _hunks(diff: str) -> Iterator[tuple[str, list[str]]]:
    """The file that a hunk belongs to, where a new one begins, and the hunk: its head, then its lines."""
    hunk: list[str] = []
    lines = diff.replace("\r\n", "\n").split("\n")
    for n, line in enumerate(lines):
        if hunk and line.startswith(("--- ", "+++ ")) and not _heads(lines, n):
            hunk.append(line)  # a comment of SQL that goes, or a line of pluses that comes
            continue
        if re.match(r"(rename|copy|deleted file|old mode|GIT binary)", line) or line.startswith("+++ /dev/null"):
            raise Unfit("it renames, removes or changes the mode of a file")
        if line.startswith(("diff --git ", "index ", "--- ", "new file mode 1006")):
            yield "", hunk
            hunk = []
        elif line.startswith("+++ "):
            yield line[4:].split("\t")[0].strip().removeprefix("b/"), []
        elif line.startswith("@@"):
            yield "", hunk
            hunk = [line]
        elif hunk and not line.startswith("\\"):
            hunk.append(line)
    yield "", hunk


def _heads(lines: Sequence[str], n: int) -> bool:
    """Whether a file begins at this line of a diff: its old name, its new one, and a hunk stand together."""
    three = lines[n : n + 3] if lines[n].startswith("--- ") else lines[max(0, n - 1) : n + 2]
    return [line[:3] for line in three] in (["---", "+++", "@@ "], ["---", "+++", "@@"])


def _as_edit(root: Path, name: str, hunk: Sequence[str]) -> Edit:
    head, *lines = hunk
    while lines and not lines[-1].strip():
        lines.pop()
    wrong = next((line for line in lines if line and line[0] not in " +-"), None)
    if wrong is not None:
        raise Unfit(f"a line of the diff begins with neither a space, + nor -: {wrong[:60]!r}")
    old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    text = _text(root, name)
    if text is None or len(list(_places(text, old))) <= 1 or not old.strip():
        return Edit(file=name, old=old, new=new)
    return _nearest(text, name, head, old, new)


def _nearest(text: str, name: str, head: str, old: str, new: str) -> Edit:
    """The place that the head says, where there are several; the anchor is widened until it is the only one."""
    said = _HUNK.match(head)
    at = int(said.group(1)) if said else 0
    lines = text.splitlines(keepends=True)
    numbers = [text.count("\n", 0, start) + 1 for start, _ in _places(text, old)]
    first = min(numbers, key=lambda number: abs(number - at))
    last = first + len(old.rstrip("\n").split("\n")) - 1
    for more in range(1, len(lines)):
        before, after = lines[max(0, first - 1 - more) : first - 1], lines[last : last + more]
        anchor = "".join([*before, old, *after])
        if len(list(_places(text, anchor))) == 1:
            return Edit(file=name, old=anchor, new="".join([*before, new, *after]))
    return Edit(file=name, old=old, new=new)


def as_fix(root: Path, finding: Finding, patch: WrittenPatch, number: int, allow: Sequence[str]) -> Fix | Declined:
    """The patch on the tree as it is now, in which earlier changes may have moved its lines."""
    try:
        files: Mapping[str, str | None] = texts(root, patch, allow)
    except Unfit as unfit:
        return Declined(finding=finding.id, hypothesis=patch.hypothesis, reason=unfit.what)
    return Fix(
        finding=finding.id,
        hypothesis=patch.hypothesis,
        variant=variant(number),
        title=patch.title,
        files=dict(files),
        metrics=patch.metrics,
        ttl_s=patch.ttl_s,
        trade_offs=patch.trade_offs,
    )


def variant(number: int) -> str:
    """What tells a model's patch from the changes that are written by rule."""
    return f"written {number}"
