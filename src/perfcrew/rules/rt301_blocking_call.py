"""RT301: a blocking call in async code.

What it costs: while the call waits, the event loop serves nobody: every other request of the process waits too.
Seen as: an HTTP call, a statement or a wait whose stack leads to an `async def` of the application by calls that
are not awaited; or an event loop that was seen standing still on a line that calls a blocking function (`time.sleep`,
`requests.get`, `urlopen`, `subprocess.run` …) or during such a span; at least `min_ms` a request.
Not this: sync endpoints and `to_thread` (they run in a thread), awaited calls, a loop that is busy computing (RT303),
password hashing (slow by design: put it in a thread all the same).
Instead: an async client or driver, or `await asyncio.to_thread(…)`.
Confidence: 0.9 where the span's stack shows it; 0.95 where the loop was seen standing still as well, 0.97 where
another endpoint was seen waiting.
Limits: blocking of less than the watchdog's beat that makes no span is not seen. Files are not spans.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis, Share
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.trace import Block, Frame, Span, Trace
from perfcrew.rules import source
from perfcrew.rules.costs import fraction, level, middle, observed, request_ms, scores, typical
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, own, place
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "RT301"
BLOCKING = re.compile(
    r"^(time\.sleep|sleep_sync|(requests|httpx)\.(get|post|put|patch|delete|head|request)|(\w+\.)*urlopen|(\w+\.)?urlretrieve"
    r"|subprocess\.(run|call|check_call|check_output|getoutput)|os\.(system|popen|wait|waitpid)|smtplib\.\w+|ftplib\.\w+"
    r"|socket\.(create_connection|getaddrinfo|gethostbyname)|(\w+\.)?(read_text|read_bytes|write_text|write_bytes)|open"
    r"|sqlite3\.connect|psycopg2?\.connect|shutil\.\w+|(\w+\.)*communicate)$"
)
HASHING = re.compile(
    r"scrypt|pbkdf2|bcrypt|argon2|hashpw|checkpw|passlib|(make|check|verify|hash)_password|password_hash|hash_secret",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"(create_task|ensure_future|gather|run_in_executor|to_thread|submit|start_soon|spawn|add_task)$"
)


class Blocked(NamedTuple):
    """The loop stood still at one place in one request."""

    site: Site
    spent_ms: float
    still: bool
    """Seen by the watchdog, not only concluded from the stack."""


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a blocking line."""
    traced = observed(scene)
    if traced is None or scene.endpoint.is_async is False:
        return []
    traces = typical(traced)
    found: dict[tuple[str, int], list[tuple[Trace, Blocked]]] = {}
    for trace in traces:
        for blocked in _blocked(scene, trace):
            found.setdefault(blocked.site.on_line, []).append((trace, blocked))
    usual = [f for f in found.values() if len(f) >= len(traces) * limits.traces_share]
    return [_finding(scene, traced, f, limits) for f in usual if middle([b.spent_ms for _, b in f]) >= limits.min_ms]


def _blocked(scene: Scene, trace: Trace) -> list[Blocked]:
    """By place, spans and blocks of one request together: what a block shows of a span's line counts once."""
    spans: dict[tuple[str, int], list[tuple[Site, float]]] = {}
    for span in trace.of("http", "database", "model", "cache"):
        where = (
            _not_awaited(scene, span.stack) or (_still_during(trace, span) and _innermost(scene, span.stack)) or None
        )
        if where and not _hashes(span.stack):
            spans.setdefault((where.place.file, where.place.line), []).append((where, span.duration_ms))
    blocks: dict[tuple[str, int], list[tuple[Site, float]]] = {}
    for block in trace.blocks:
        where = _calls_blocking(scene, block)
        if where:
            blocks.setdefault((where.place.file, where.place.line), []).append((where, block.duration_ms))
    stood = {(f.file, f.line) for b in trace.blocks for f in (place(scene.root, x) for x in b.stack)}
    return [
        Blocked(
            (spans.get(at) or blocks[at])[0][0],
            max(sum(ms for _, ms in spans.get(at, [])), sum(ms for _, ms in blocks.get(at, []))),
            at in stood,
        )
        for at in {**spans, **blocks}
    ]


def _not_awaited(scene: Scene, stack: tuple[Frame, ...]) -> Site | None:
    """The culprit, where the innermost `async def` of the application reaches it without an await."""
    frames = own(scene.root, stack)
    for frame in frames:
        text = source.read(frame.file)
        if text and isinstance(text.function_at(frame.line), ast.AsyncFunctionDef):
            return (
                None if text.awaited_at(frame.line) or _hands_over(text, frame.line) else _site(scene, frames[0], frame)
            )
    return None


def _hands_over(text: source.Source, line: int) -> bool:
    """Whether the line only starts what runs elsewhere: a task, a thread."""
    return any(_ELSEWHERE.search(name) for name in text.calls_at(line))


def _innermost(scene: Scene, stack: tuple[Frame, ...]) -> Site | None:
    frames = own(scene.root, stack)
    return Site(place(scene.root, frames[0]), None) if frames else None


def _site(scene: Scene, culprit: Frame, asynchronous: Frame) -> Site:
    return Site(place(scene.root, culprit), None if culprit is asynchronous else place(scene.root, asynchronous))


def _still_during(trace: Trace, span: Span) -> bool:
    """Whether the loop stood still for most of the span: an awaited call would have let it turn."""
    ranges = [(b.start_ns, b.start_ns + int(b.duration_ms * 1e6)) for b in trace.blocks]
    covered = sum(max(0, min(end, span.end_ns) - max(start, span.start_ns)) for start, end in ranges)
    return span.duration_ms > 0 and covered >= 0.7 * (span.end_ns - span.start_ns)


def _calls_blocking(scene: Scene, block: Block) -> Site | None:
    """A block on a line that calls a blocking function, below an `async def` of the application."""
    frames = own(scene.root, block.stack)
    if not frames or _hashes(block.stack):
        return None
    text = source.read(frames[0].file)
    if text is None or not any(BLOCKING.match(name) for name in text.calls_at(frames[0].line)):
        return None
    return _not_awaited(scene, block.stack)


def _hashes(stack: tuple[Frame, ...]) -> bool:
    return any(hashing(frame.file, frame.line, frame.function) for frame in stack[:4])


def hashing(file: str, line: int, function: str) -> bool:
    """Whether the line hashes a password or stretches a key, which is slow on purpose."""
    text = source.read(file)
    calls = text.calls_at(line) if text else ()
    return bool(HASHING.search(function)) or any(HASHING.search(name) for name in calls)


def _finding(scene: Scene, traced: Traced, found: list[tuple[Trace, Blocked]], limits: Limits) -> Finding:
    example = max((b for _, b in found), key=lambda b: b.spent_ms)
    part = middle([fraction(b.spent_ms, request_ms(t)) for t, b in found])
    spent = middle([b.spent_ms for _, b in found])
    waiting = (
        scene.neighbour is not None
        and scene.neighbour.body.beside_max_ms >= scene.neighbour.body.alone_median_ms + spent * 0.5
    )
    still = any(b.still for _, b in found)
    confidence = 0.97 if waiting else 0.95 if still else 0.9
    share = Share(
        fraction=round(part, 4),
        of="neighbours",
        basis="time that the loop stood still over the traced request: nobody else is served in it",
    )
    where = example.site.place
    title = f"A blocking call on the event loop in {code(where.function or where.file)}"
    case = Case(title, level(part, spent, limits), example.site, share, confidence, where.function)
    prose = _prose(scene, traced, example.site, waiting)
    evidence = [traced.seen.evidence, scene.neighbour.evidence if scene.neighbour else None]
    return finding(ID, scene.endpoint.key, case, prose, evidence, _hypotheses(example.site, part, confidence))


def _prose(scene: Scene, traced: Traced, site: Site, waiting: bool) -> Prose:
    near = scene.neighbour
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(site.place)),
        "from": code(str(site.trigger)) if site.trigger else None,
        "neighbour": code(near.body.neighbour) if near else None,
        "alone": near.cite("alone_median_ms") if near else None,
        "beside": near.cite("beside_median_ms") if near else None,
        "worst": near.cite("beside_max_ms") if near else None,
    }
    return sentences(
        values,
        "{line} waits without giving the event loop back: nobody else is served meanwhile.",
        "It is called from async code at {from}.",
        "A request to {endpoint} takes {request} as traced.",
        "{neighbour} answers within {alone} alone, within {beside} beside it, and took {worst} at worst."
        if waiting
        else "",
    )


def _hypotheses(site: Site, part: float, confidence: float) -> list[Hypothesis]:
    client = """
async with httpx.AsyncClient(timeout=5) as client:      # better: one client for the application's life
    response = await client.get(url)
"""
    return [
        Hypothesis(
            id=f"{ID}-async",
            change=f"an async client in place of the blocking call at {code(str(site.place))}",
            metric="neighbour.latency",
            improvement=round(part, 3) or None,
            because="while the call waits, the loop serves others; the request itself takes as long as before",
            kind="code",
            recipe=python(client),
            scores=scores(part, confidence, effort=3, risk=4, reversibility=5),
            trade_offs="Functions up to the caller become async.",
            rollback="Revert the commit.",
        ),
        Hypothesis(
            id=f"{ID}-thread",
            change=f"handing the call at {code(str(site.trigger or site.place))} to a thread",
            metric="neighbour.latency",
            improvement=round(part, 3) or None,
            because="the thread waits, and the loop goes on",
            kind="code",
            recipe=python("result = await asyncio.to_thread(blocking_call, argument)"),
            scores=scores(part, confidence, effort=5, risk=4, reversibility=5),
            alternatives=("a sync endpoint (`def`), which FastAPI runs in a thread",),
            trade_offs="Threads are bounded: the default pool holds a few dozen.",
            rollback="Revert the commit.",
        ),
    ]
