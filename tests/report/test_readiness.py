"""Ready or not for the peak that is expected: the verdict, the numbers that it is told with, and the gate on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.evidence import Estimate, Measurement, Peak
from perfcrew.core.prose import Prose
from perfcrew.core.report import Readiness, Report
from perfcrew.gate import check, seal
from perfcrew.ledger import Ledger
from perfcrew.report import html, markdown
from perfcrew.report.compose import compose
from tests.report.make_ledger import METHOD, RUN, SHOP, Maker, write_frame

USERS = Peak(
    expected_per_s=50,
    source="profile",
    users=500,
    each_s=10,
    each_assumed=True,
    capacity_per_s=160,
    headroom_ratio=3.2,
    whole=True,
)
GIVEN = Peak(expected_per_s=50, source="given", capacity_per_s=160, headroom_ratio=3.2, whole=True)
ASSUMED = Peak(expected_per_s=80, source="capacity", capacity_per_s=160, headroom_ratio=2.0, whole=True)


WITHIN = Estimate(value=120, low=100, high=180)


def borne(p95: Estimate | None = WITHIN, failed: float = 0.0, step: str = "1") -> tuple[Measurement, Measurement]:
    """What was measured of the mix at a step of the load; the profile's bound is 500 ms."""
    load = f"{step} x peak (50/s)"
    latency = Measurement(
        metric="latency",
        unit="ms",
        direction="lower",
        load=load,
        runs=3,
        count=300,
        statistics={"p95": p95} if p95 else {},
    )
    errors = Measurement(
        metric="error.rate",
        unit="fraction",
        direction="lower",
        load=load,
        runs=3,
        count=300,
        statistics={"value": Estimate(value=failed)},
    )
    return latency, errors


class Reviewed:
    """A run that bore its mix, and its report."""

    def __init__(self, folder: Path, peak: Peak | None, measured: tuple[Measurement, ...] = ()) -> None:
        maker = Maker(folder, seed=1, load_steps=(), shops=SHOP[:1])
        write_frame(maker, folder)
        maker.baseline(SHOP[0])
        for number, body in enumerate(measured):
            maker.put(f"workload/{number}", body, METHOD)
        if peak:
            maker.put("peak", peak)
        self.ledger: Ledger = maker.ledger
        self.report: Report = seal(compose(self.ledger, RUN), self.ledger)

    @property
    def stated(self) -> Readiness:
        assert self.report.readiness is not None
        return self.report.readiness

    def refused(self, **changes: Any) -> str:
        """What the gate says of the readiness; `changes` are made to it first, or it is left out."""
        new = None if changes.get("left_out") else self.stated.model_copy(update=changes)
        edited = self.report.model_copy(update={"readiness": new}) if changes else self.report
        names = ("targets", "figures", "numerals", "subjects", "units")
        return " ".join(r for c in check(edited, self.ledger).failed if c.name in names for r in c.reasons)


MISSED, OPEN = Estimate(value=800, low=700, high=990), Estimate(value=120, low=100)
NARROW = {"capacity_per_s": 40.0, "headroom_ratio": 0.8}
CASES: dict[str, tuple[Peak, tuple[Measurement, ...], str, str]] = {
    "ready": (USERS, borne(), "ready",
              "At the peak p95 of the mix is 120 ms, within the target's 500 ms. By each endpoint's own throughput the "
              "mix could reach 160 /s, 3.2 × the expected peak."),
    "ready by a rate": (GIVEN, borne(), "ready", "The expected peak is 50 /s, as given. At the peak"),
    "some requests fail": (GIVEN, borne(failed=0.009), "ready", "within the target's"),
    "too slow": (USERS, borne(MISSED), "not ready", "p95 of the mix is 800 ms, beyond the target's 500 ms."),
    "no head-room": (USERS.model_copy(update=NARROW), borne(), "not ready",
                     "There is no head-room. By each endpoint's own throughput the mix could reach 40 /s, 0.8 ×"),
    "requests fail": (GIVEN, borne(failed=0.02), "not ready", "At the peak 2 % of the requests fail."),
    "it fails too often for a p95": (GIVEN, borne(None, failed=0.4), "not ready", "40 % of the requests fail."),
    "nothing bounds it": (GIVEN, borne(OPEN), "not judged", "is 120 ms, with no upper bound to hold against"),
    "no p95": (GIVEN, borne(None), "not judged", "was not measured, so it is not judged"),
    "only another step was borne": (GIVEN, borne(step="0.5"), "not judged", "was not measured"),
    "no capacity": (GIVEN.model_copy(update={"capacity_per_s": None, "headroom_ratio": None}), borne(), "not judged",
                    "was not measured"),
    "the peak is assumed": (ASSUMED, borne(), "not judged",
                            "The expected peak is an assumption: 80 /s, a part of the capacity that was measured. "
                            "For a verdict give `users` or `peak_rps` under `[workload]`."),
    "a part of it": (GIVEN.model_copy(update={"whole": False}), borne(), "not judged", "Only a part of the endpoints"),
    "steps were left out": (GIVEN.model_copy(update={"left_out": (2.0,)}), borne(), "ready", "were left out"),
}  # fmt: skip


@pytest.mark.parametrize(("peak", "measured", "outcome", "said"), CASES.values(), ids=CASES)
def test_readiness(tmp_path: Path, peak: Peak, measured: tuple[Measurement, ...], outcome: str, said: str) -> None:
    found = Reviewed(tmp_path, peak, measured)
    assert found.stated.outcome == outcome
    assert said in found.stated.said.text
    assert found.refused() == ""
    for text in (markdown.render(found.report), html.render(found.report)):
        assert f"For the expected peak: {outcome}" in text


def test_the_users_are_told_with_their_pace(tmp_path: Path) -> None:
    found = Reviewed(tmp_path, USERS, borne())
    assert found.stated.said.text.startswith(
        "The expected peak is 50 /s: the profile's 500 users, each with a request every 10 s, which is assumed."
    )
    assert "The profile expects" not in found.report.workload.text


def test_where_no_mix_was_borne_nothing_is_said(tmp_path: Path) -> None:
    found = Reviewed(tmp_path, None)
    assert found.report.readiness is None
    assert "The profile expects 500 users." in found.report.workload.text
    assert "For the expected peak" not in markdown.render(found.report) + html.render(found.report)
    told = found.report.model_copy(update={"readiness": Readiness(outcome="ready", peak="E", said=Prose(text="Yes."))})
    reasons = [r for c in check(told, found.ledger).failed for r in c.reasons]
    assert "whether it is ready for the peak is told, and no mix was borne" in reasons


FALSE: dict[str, tuple[dict[str, Any], str]] = {
    "called ready": ({"outcome": "ready"}, "is said to be ready for the peak, and is not ready: too slow"),
    "called open": ({"outcome": "not judged"}, "and is not ready"),
    "left out": ({"left_out": True}, "whether it is ready for the peak is not told"),
    "told without its numbers": ({"said": Prose(text="It is well.")}, "the readiness does not cite E-"),
}


@pytest.mark.parametrize(("changes", "why"), FALSE.values(), ids=FALSE)
def test_a_false_verdict_is_refused(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    assert why in Reviewed(tmp_path, USERS, borne(MISSED)).refused(**changes)
