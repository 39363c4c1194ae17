"""Traced requests: sent one after the other, each with a trace id, their spans collected, counted and kept.

Traced runs are for counts and places: the probe costs a fast endpoint half of its time, so no latency is taken here.
"""

from __future__ import annotations

import asyncio
import gzip
import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from perfcrew.core.base import Noun
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Traces
from perfcrew.core.trace import Function, Trace
from perfcrew.core.web import Plan, Request
from perfcrew.instruments.cached import cache_groups
from perfcrew.instruments.connections import connections, transactions
from perfcrew.instruments.life import median_counts, stages
from perfcrew.instruments.probe_records import Records, hellos
from perfcrew.instruments.repeats import groups
from perfcrew.instruments.sealing import without_keys
from perfcrew.target.client import Answer, fingerprint, json_keys

SPANS_WAIT_S = 2.0
"""A process writes a request's spans when it ends, which may be a moment after the answer's last byte."""


class Sent(Noun):
    """A traced request that was sent, and what its answer held."""

    request: int
    repeat: int
    keys: tuple[str, ...] = ()
    items: int | None = None


class Sends(Protocol):
    """The client of a started target."""

    async def send(
        self, request: Request, *, trace: str | None = None, index: int = 0, record_functions: bool = False
    ) -> Answer: ...


@dataclass(frozen=True)
class TracedRun:
    """The evidence of a traced run: the body, and the spans as a blob."""

    body: Traces
    blob: bytes
    traces: tuple[Trace, ...]
    """As they were seen: these alone hold the keys of a cache, which neither the body nor the blob does."""


async def run_traced(
    client: Sends,
    plan: Plan,
    probe_dir: Path,
    *,
    repeats: int = 3,
    size: int | None = None,
    record_functions: bool = False,
    wait_s: float = SPANS_WAIT_S,
    root: Path | None = None,
) -> TracedRun:
    """Send each request of the plan once cold and `repeats` times warm, one at a time, and collect the spans.

    Places in the body are relative to `root`.

    Answers of another status than planned are left out and noted. Raises what the client raises, nothing else: a run
    whose spans did not come says so in `instrumented`.
    """
    sent: dict[str, Sent] = {}
    records = Records(probe_dir, sent, beyond=True)
    failed: dict[str, int] = {}
    for repeat in range(repeats + 1):
        for index, request in enumerate(plan.requests):
            trace = secrets.token_hex(16)
            answer = await client.send(request, trace=trace, index=index, record_functions=record_functions)
            wrong = _wrong(plan, index, answer)
            if wrong:
                failed[wrong] = failed.get(wrong, 0) + 1
                continue
            sent[trace] = Sent(request=index, repeat=repeat, keys=json_keys(answer), items=fingerprint(answer).items)
    await records.wait(lambda: all(map(records.served, sent)), wait_s)
    notes = [f"{count} of {len(plan.requests) * (repeats + 1)} traced requests: {why}" for why, count in failed.items()]
    told = [*notes, *_notes(records)]
    return summarise_traces(_joined(records, sent), size, probe_dir=probe_dir, notes=told, root=root)


async def run_at_once(
    client: Sends, plan: Plan, probe_dir: Path, *, times: int, wait_s: float = SPANS_WAIT_S, root: Path | None = None
) -> TracedRun:
    """Send the plan's first request so many times at once, and collect the spans. Answers of another status are noted.

    Raises what the client raises.
    """
    ids = [secrets.token_hex(16) for _ in range(times)]
    request = plan.requests[0]
    sent = {one: Sent(request=0, repeat=0) for one in ids}
    records = Records(probe_dir, sent, beyond=True)
    answers = await asyncio.gather(*(client.send(request, trace=one, index=0) for one in ids))
    wrong = [why for answer in answers if (why := _wrong(plan, 0, answer))]
    for one, answer in zip(ids, answers, strict=True):
        if _wrong(plan, 0, answer):
            del sent[one]
    await records.wait(lambda: all(map(records.served, sent)), wait_s)
    run = summarise_traces(_joined(records, sent), None, probe_dir=probe_dir, notes=wrong, root=root)
    return TracedRun(run.body.model_copy(update={"at_once": times}), run.blob, run.traces)


def _wrong(plan: Plan, index: int, answer: Answer) -> str:
    if answer.error is not None:
        return answer.error
    request = plan.requests[index]
    wanted = request.expect or (plan.fingerprints[index].status if index < len(plan.fingerprints) else None)
    good = answer.status == wanted if wanted else 200 <= answer.status < 400
    return "" if good else f"answered {answer.status}"


def collect(probe_dir: Path, sent: Mapping[str, Sent]) -> list[Trace]:
    """The traces of these ids, in the order they were sent, from all that the probe has written; missing ones too."""
    records = Records(probe_dir, sent)
    records.read()
    return _joined(records, sent)


async def functions(
    probe_dir: Path, sent: Iterable[str], wait_s: float = SPANS_WAIT_S
) -> dict[str, tuple[Function, ...]]:
    """The functions that each of these traces executed, where `functions` is a part of the probe."""
    wanted = list(sent)
    records = Records(probe_dir, set(wanted))
    await records.wait(lambda: all(map(records.served, wanted)), wait_s)
    return {trace: tuple(records.traces[trace].functions) for trace in wanted if trace in records.traces}


def _joined(records: Records, sent: Mapping[str, Sent]) -> list[Trace]:
    joined = []
    for trace, one in sent.items():
        found = records.traces.get(trace)
        known: dict[str, Any] = {}
        if found:
            known = {
                "server": found.server,
                "spans": tuple(sorted(found.spans, key=lambda s: s.start_ns)),
                "blocks": tuple(found.blocks),
                "functions": tuple(found.functions),
                "loaded": found.loaded,
                "read": tuple(dict.fromkeys(found.read)),
            }
        joined.append(
            Trace(id=trace, request=one.request, repeat=one.repeat, response_keys=one.keys, items=one.items, **known)
        )
    return joined


def _notes(records: Records) -> list[str]:
    cut = sum(one.cut for one in records.traces.values())
    notes = []
    if records.unreadable:
        notes.append(f"{records.unreadable} records of the probe could not be read")
    if cut or records.too_much:
        notes.append(f"more was recorded than is kept: {cut} spans left out" if cut else "the probe's files were cut")
    return notes


def summarise_traces(
    traces: Sequence[Trace],
    size: int | None = None,
    *,
    probe_dir: Path | None = None,
    mode: str = "",
    notes: Sequence[str] = (),
    root: Path | None = None,
) -> TracedRun:
    """The counts (medians over warm requests), the stages, the groups and the spans as gzipped JSON lines.

    `instrumented` is False where less than half of the requests have a server span: then nothing was seen, which is
    not the same as nothing being there. How the probe stood is read from `probe_dir` where it is given.
    """
    said = hellos(probe_dir) if probe_dir else []
    as_seen, traces = tuple(traces), without_keys(traces, root)
    served = [t for t in traces if t.server]
    cold, warm = [t for t in served if t.repeat == 0], [t for t in served if t.repeat > 0]
    missing = f"{len(traces) - len(served)} of {len(traces)} traced requests left no span"
    told = [note for hello in said for note in hello.notes]
    if probe_dir and not said:
        told.append("the probe was never loaded: the start command may clear PYTHONPATH or run Python with -I")
    body = Traces(
        instrumented=bool(served) and 2 * len(served) >= len(traces),
        mode=mode or ", ".join(sorted({h.mode for h in said if h.mode})) or "none",
        size=size,
        requests_count=len(traces),
        counts=median_counts(warm or cold),
        cold=median_counts(cold) if cold else None,
        stages=stages(warm or cold),
        groups=groups(traces, root),
        cache=cache_groups(traces, root or Path("/dev/null")),
        connections=connections(traces),
        transactions=transactions(traces, root),
        notes=tuple(dict.fromkeys([*notes, *told, *([missing] if len(served) < len(traces) else [])])),
    )
    return TracedRun(body, dump(traces), as_seen)


def dump(traces: Iterable[Trace]) -> bytes:
    """Traces as gzipped JSON lines; equal traces give equal bytes."""
    lines = "".join(t.model_dump_json(exclude_defaults=True) + "\n" for t in traces)
    return gzip.compress(lines.encode(), compresslevel=6, mtime=0)


def load(blob: bytes) -> list[Trace]:
    """The traces of a blob. LedgerError where it can't be read."""
    try:
        if not blob:
            raise EOFError("it is empty")
        return [Trace.model_validate_json(line) for line in gzip.decompress(blob).splitlines()]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise LedgerError(f"the blob holds no traces: {error}", do="measure again") from None


def relocated(run: TracedRun, ran_in: Path, root: Path) -> TracedRun:
    """The run with the files of the copy that the target ran in named as those of its own tree."""
    text = gzip.decompress(run.blob).decode()
    blob = gzip.compress(text.replace(f'"{ran_in}/', f'"{root}/').encode(), compresslevel=6, mtime=0)
    traces = tuple(load(blob))
    again = {
        "groups": groups(traces, root),
        "cache": cache_groups(traces, root),
        "transactions": transactions(traces, root),
    }
    return TracedRun(run.body.model_copy(update=again), blob, traces)
