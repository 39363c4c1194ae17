"""Whether the application is ready for the peak that is expected, told with the numbers that say so."""

from __future__ import annotations

from perfcrew.core.evidence import Peak
from perfcrew.core.prose import Prose, join, write
from perfcrew.core.readiness import ERRORS, P95, Decision, decide
from perfcrew.core.report import Readiness
from perfcrew.report.book import Book, number


def readiness(book: Book) -> Readiness | None:
    """The verdict with the expected peak, p95 at it, and the head-room; None where the mix was not borne."""
    found = decide(book.items)
    if found is None or not isinstance(found.peak.body, Peak):
        return None
    said = [_expected(found, found.peak.body), *_verdict(book, found), *_room(found, found.peak.body)]
    if found.peak.body.left_out:
        said.append(Prose(text="Steps far beyond the capacity were left out: they would show a queue alone."))
    return Readiness(outcome=found.outcome, peak=found.peak.id, said=join(said))


def _expected(found: Decision, body: Peak) -> Prose:
    peak = number(found.peak, "expected_per_s")
    if body.source == "capacity":
        return write("The expected peak is an assumption: {peak}, a part of the capacity that was measured.", peak=peak)
    if body.source == "given":
        return write("The expected peak is {peak}, as given.", peak=peak)
    of = "the profile's" if body.source == "profile" else "the"
    pace = ", which is assumed" if body.each_assumed else ""
    return write(
        f"The expected peak is {{peak}}: {of} {{users}} users, each with a request every {{each}}{pace}.",
        peak=peak,
        users=number(found.peak, "users"),
        each=number(found.peak, "each_s"),
    )


def _verdict(book: Book, found: Decision) -> list[Prose]:
    if found.why in _SAID:
        return [Prose(text=_SAID[found.why])]
    if found.why == "requests fail" and found.errors:
        return [write("At the peak {failed} of the requests fail.", failed=number(found.errors, ERRORS))]
    frame = book.first("frame")
    if found.latency is None or frame is None or found.target is None:
        return []
    return [
        write(
            f"At the peak p95 of the mix is {{p95}}, {_HELD[found.why]} {{bound}}.",
            p95=number(found.latency, P95),
            bound=number(frame, f"profile.targets.{found.target}.bound"),
        )
    ]


_HELD = {
    "too slow": "beyond the target's",
    "it is within": "within the target's",
    "no bound": "with no upper bound to hold against the target's",
}
_SAID = {
    "the peak is assumed": "For a verdict give `users` or `peak_rps` under `[workload]`.",
    "a part is measured": "Only a part of the endpoints was reviewed, which is not judged by the whole's peak.",
    "no target": "The profile has no target for the p95 of every endpoint, so it is not judged.",
    "not measured": "The p95 of the mix at the peak, or the capacity, was not measured, so it is not judged.",
    "no head-room": "There is no head-room.",
}


def _room(found: Decision, body: Peak) -> list[Prose]:
    if body.capacity_per_s is None or body.headroom_ratio is None:
        return []
    capacity, room = number(found.peak, "capacity_per_s"), number(found.peak, "headroom_ratio")
    text = "By each endpoint's own throughput the mix could reach {capacity}, {room} the expected peak."
    return [write(text, capacity=capacity, room=room)]
