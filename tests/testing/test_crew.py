"""The scripted crew: through the real SDKs and the crew's own checks, with what stands in the evidence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from perfcrew.core.errors import UsageError
from perfcrew.core.report import Report
from perfcrew.gate import check
from perfcrew.graphs import conclude
from perfcrew.graphs.configured import configured
from perfcrew.graphs.steps import patches
from perfcrew.ledger import Ledger
from perfcrew.testing import ScriptedModel, say
from perfcrew.testing import __main__ as command
from perfcrew.testing.crew import Crew, Known, read
from tests.crew.desk import shop
from tests.crew.thought import concluded, context, findings, recognised, runtime
from tests.report.make_ledger import RUN

KNOWN = Known(
    specialist="database",
    endpoint="GET /authors",
    needle="return [(a.name, [b.title for b in a.books]) for a in authors]",
    instead="titles = titles_of(session, authors)\nreturn [(a.name, titles[a.id]) for a in authors]",
    title="Fetch all titles at once",
    because="each author's books are fetched by a statement of their own",
    metric="db.statements",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with shop(tmp_path) as made:
        yield made


async def run(ledger: Ledger, crew: Crew, provider: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Report]:
    with ScriptedModel(crew) as model:
        for name, value in model.environment(provider).items():
            monkeypatch.setenv(name, value)
        made = context(ledger, configured(ledger.where.parent.parent))
        await concluded(made)
        final = findings(made, f"{conclude.FINAL}/0").findings
        await patches.write_patches(made, [f for f in final if f.rule == "DB900"], ())
        await conclude.write({"run": RUN}, runtime(made))
        assert made.draft is not None
        return made, made.draft


@pytest.mark.parametrize("provider", ["anthropic", "google_genai", "openai"])
async def test_everybody_is_answered_and_the_gate_passes(
    provider: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, report = await run(ledger, Crew([KNOWN]), provider, monkeypatch)
    assert [(t.who, t.why) for t in report.thought if not t.answered] == []
    assert check(report, ledger).passed
    own = next(f for f in findings(made, f"{conclude.FINAL}/0").findings if f.rule == "DB900")
    assert own.title.startswith("Scripted") and own.prose.figures and own.place.function == "list_authors"
    assert report.narrative.text.startswith("(Scripted") and report.narrative.figures
    assert patches.variants(made, own) == ["H1/written 1"]
    (written,) = [e.body for e in ledger.find(RUN, "written patches")]
    assert written.patches[0].edits[0].new.startswith("    titles = ")  # type: ignore[union-attr]


async def test_without_its_line_or_its_endpoint_it_says_nothing_of_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = [KNOWN.model_copy(update={"needle": "not there"}), KNOWN.model_copy(update={"endpoint": "GET /nowhere"})]
    made, report = await run(ledger, Crew(unknown), "anthropic", monkeypatch)
    assert all(t.answered for t in report.thought)
    assert {f.id for f in findings(made, f"{conclude.FINAL}/0").findings} == {f.id for f in recognised(ledger)}


async def test_it_dies_half_way(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew([KNOWN], dies_after=10)
    _, report = await run(ledger, crew, "anthropic", monkeypatch)
    answered = {t.who: t.answered for t in report.thought}
    assert sum(answered.values()) == 5 and not answered["reviewer"] and not answered["narrator"]
    assert crew.answered == 10 and check(report, ledger).passed


def test_a_file_of_a_crew_and_one_of_steps(tmp_path: Path) -> None:
    own, steps = tmp_path / "crew.yaml", tmp_path / "steps.yaml"
    own.write_text(f"crew:\n  - {KNOWN.model_dump_json()}\n")
    steps.write_text("- {say: hello}\n")
    assert isinstance(read(own), Crew) and read(steps) is None
    own.write_text("crew:\n  - {needle: x}\n")
    with pytest.raises(UsageError, match="specialist"):
        read(own)
    assert command.main([str(steps), "anthropic", "--dies-after", "3"]) == 2


ASKS = """
import os, urllib.request
print(os.environ["PERFCREW_MODEL_DEEP"])
body = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'
url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
print(b"ready" in urllib.request.urlopen(urllib.request.Request(url, body), timeout=10).read())
print(url)
raise SystemExit(7)
"""


def test_a_command_is_run_with_a_server_that_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "steps.yaml"
    script.write_text("- {say: ready}\n")
    words = [sys.executable, "-m", "perfcrew.testing", str(script), "anthropic", "--", sys.executable, "-c", ASKS]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    model, ready, url = done.stdout.splitlines()
    assert (done.returncode, model, ready) == (7, "anthropic:scripted-anthropic", "True")
    assert "was asked 1 times" in done.stderr

    with pytest.raises(URLError):
        urlopen(url, timeout=5)


def test_a_function_is_asked_for_every_request() -> None:
    with ScriptedModel(lambda asked: say(asked.model)) as model:
        assert model.unused == 0
