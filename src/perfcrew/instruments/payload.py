"""What an answer weighs: as sent, as decoded, as gzip would make it, and when it is asked for again."""

from __future__ import annotations

import zlib

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.evidence import Payload
from perfcrew.core.web import Plan
from perfcrew.instruments.revisit import ENCODINGS, measure_revisit
from perfcrew.target.client import Answer, Client, fingerprint

GZIP_LEVEL = 6
_KEPT = ("cache-control", "etag", "last-modified", "vary", "content-length", "transfer-encoding", "content-disposition")
_STREAMS = ("text/event-stream", "application/x-ndjson", "application/jsonl", "multipart/x-mixed-replace")


async def measure_payload(client: Client, plan: Plan) -> Payload:
    """Ask each request of the plan as a browser would, and weigh the largest answer.

    Unmeasurable where none is answered as it was when the plan was made.
    """
    asked = [(request, await client.send(request, accept_encoding=ENCODINGS)) for request in plan.requests]
    expected = {fingerprint.status for fingerprint in plan.fingerprints}
    good = [(request, answer) for request, answer in asked if answer.error is None and answer.status in expected]
    if not good:
        said = ", ".join(sorted({answer.error or str(answer.status) for _, answer in asked}))
        raise Unmeasurable(f"{plan.endpoint.key} no longer answers: {said}", do="look at the target's log")
    request, largest = max(good, key=lambda one: one[1].decoded_bytes)
    weighed = _weighed(largest, tuple(fingerprint(answer) for _, answer in good))
    again = None if weighed.streamed else await measure_revisit(client, request, largest)
    return weighed.model_copy(update={"revisit": again})


def _weighed(answer: Answer, fingerprints: tuple[object, ...]) -> Payload:
    return Payload.model_validate(
        {
            "content_type": answer.content_type,
            "content_encoding": answer.headers.get("content-encoding", ""),
            "sent_bytes": answer.sent_bytes,
            "decoded_bytes": answer.decoded_bytes,
            "gzip_bytes": _gzipped_bytes(answer),
            "items_count": getattr(fingerprints[0], "items", None),
            "headers": {name: answer.headers[name] for name in _KEPT if name in answer.headers},
            "fingerprints": fingerprints,
            "streamed": streamed(answer),
        }
    )


def _gzipped_bytes(answer: Answer) -> int:
    """Of the part that was kept, scaled to the whole."""
    if not answer.body:
        return 0
    packed = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
    kept = len(packed.compress(answer.body) + packed.flush())
    return round(kept * answer.decoded_bytes / len(answer.body))


def streamed(answer: Answer) -> bool:
    """Whether the answer is a stream or a download by design, rather than a document."""
    disposition = answer.headers.get("content-disposition", "")
    by_design = answer.content_type in _STREAMS or disposition.startswith("attachment")
    return by_design or ("content-length" not in answer.headers and answer.content_type in ("text/csv", "text/plain"))
