"""The load that is expected: as given, by the users, or a part of what was measured; and the steps of it."""

from __future__ import annotations

import pytest

from perfcrew.core.evidence import Peak
from perfcrew.core.project import Workload
from perfcrew.core.targets import Profile
from perfcrew.graphs.steps.capacity import bearable, expected
from perfcrew.graphs.steps.frame import peak_assumptions

WEB = Profile(name="web", description="", users=500, targets=())
PLAIN = Profile(name="plain", description="", targets=())
# what is given, whose profile, whether all endpoints are measured, the source, the rate and whether it is assumed
PEAKS: dict[str, tuple[Workload, Profile, bool, str, float, bool]] = {
    "a rate that is given": (Workload(peak_rps=80), WEB, True, "given", 80.0, False),
    "a rate goes before users": (Workload(peak_rps=80, users=9), WEB, True, "given", 80.0, False),
    "users with their pace": (Workload(users=100, request_every_s=4), WEB, True, "users", 25.0, False),
    "users without": (Workload(users=100), WEB, True, "users", 10.0, True),
    "the profile's users": (Workload(), WEB, True, "profile", 50.0, True),
    "the profile's users with their pace": (Workload(request_every_s=5), WEB, True, "profile", 100.0, True),
    "nobody says anything": (Workload(), PLAIN, True, "capacity", 60.0, True),
    "the users of all are not laid on a part": (Workload(users=100), WEB, False, "capacity", 60.0, True),
    "a rate is given for what is measured": (Workload(peak_rps=80), WEB, False, "given", 80.0, False),
}


@pytest.mark.parametrize("name", PEAKS)
def test_the_expected_peak(name: str) -> None:
    workload, profile, whole, source, rate, assumed = PEAKS[name]
    found = expected(workload, profile, 120.0, whole=whole)
    assert found is not None
    assert (found.source, found.expected_per_s, found.assumed, found.whole) == (source, rate, assumed, whole)
    assert found.headroom_ratio == pytest.approx(120.0 / rate)


def test_what_was_not_measured_gives_no_head_room() -> None:
    found = expected(Workload(peak_rps=80), WEB, 0.0, whole=True)
    assert found is not None and found.capacity_per_s is None and found.headroom_ratio is None
    assert expected(Workload(), PLAIN, 0.0, whole=True) is None


STEPS: dict[str, tuple[float | None, tuple[float, ...]]] = {
    "room enough": (7.0, (0.5, 1.0, 2.0)),
    "half of the capacity, as assumed": (2.0, (0.5, 1.0, 2.0)),
    "the last is all that it can bear, and again as much": (1.0, (0.5, 1.0, 2.0)),
    "one is far beyond": (0.6, (0.5, 1.0)),
    "only the first is borne": (0.25, (0.5,)),
    "all are far beyond: the capacity itself": (0.1234, (0.12,)),
    "nobody knows": (None, (0.5, 1.0, 2.0)),
}


@pytest.mark.parametrize(("room", "steps"), STEPS.values(), ids=STEPS)
def test_steps_that_would_show_a_queue_alone_are_left_out(room: float | None, steps: tuple[float, ...]) -> None:
    peak = Peak(expected_per_s=10, source="given", whole=True, headroom_ratio=room)
    assert bearable((0.5, 1.0, 2.0), peak) == steps


SAID: dict[str, tuple[Workload, Profile, list[str]]] = {
    "a rate": (Workload(peak_rps=3), WEB, []),
    "users": (Workload(users=9), PLAIN, ["that of 9 users, each with a request every 10 s, as assumed"]),
    "users and pace": (Workload(users=9, request_every_s=2), PLAIN, ["of 9 users, each with a request every 2 s; "]),
    "a profile": (Workload(), WEB, ["that of 500 users of the profile web, each"]),
    "nothing": (Workload(), PLAIN, ["the expected peak is not given: half of the measured capacity is taken for it"]),
}


@pytest.mark.parametrize(("workload", "profile", "said"), SAID.values(), ids=SAID)
def test_what_is_assumed_of_it_is_said(workload: Workload, profile: Profile, said: list[str]) -> None:
    found = peak_assumptions(workload, profile)
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found, strict=True))
