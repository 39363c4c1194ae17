"""What a finding must rest on, whoever brought it up: asked of a model's answer, and again by the gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from perfcrew.core.columns import GENERAL
from perfcrew.core.evidence import Evidence, Measurement, Traces
from perfcrew.core.findings import Finding

SEEN_BY = ("traces", "profile", "plan", "vectors", "memory", "startup", "neighbour", "payload", "index usage")
"""Kinds of evidence that show where a cost lies; a measurement alone shows only that there is one."""


def unfounded(finding: Finding, cited: Sequence[Evidence], limits: Mapping[str, float]) -> Iterator[str]:
    """Why what is cited does not carry the finding; nothing where it does. `limits`: those of config/gate.yaml."""
    if not any(e.kind in SEEN_BY for e in cited):
        yield "rests on no profile, trace or plan"
    about = {finding.endpoint, *finding.also, GENERAL}
    if finding.endpoint is not None:
        yield from (f"cites {e.id} about {e.subject}" for e in cited if e.subject not in about)
    traces = [e.body for e in cited if isinstance(e.body, Traces)]
    if traces and len(traces) == len(cited) and all(t.requests_count < limits["traced_requests"] for t in traces):
        yield "claims from a single request"
    single = [e.id for e in cited if isinstance(e.body, Measurement) and e.body.runs < limits["runs"]]
    yield from (f"claims from too few runs: {e}" for e in single)
