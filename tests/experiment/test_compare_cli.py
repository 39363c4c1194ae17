"""`perfcrew compare` as a user runs it: verdict, exit code, ledger, plot, and nothing left when it is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import xml.dom.minidom
from pathlib import Path

import psutil
import pytest

from perfcrew.core.comparison import Comparison, Effect, Ratio, Side
from perfcrew.surfaces.cli import run
from perfcrew.surfaces.compare import exit_code
from perfcrew.surfaces.comparison_plot import plot
from perfcrew.surfaces.comparison_text import lines
from perfcrew.target.process import alive

PYTHON = f"{sys.executable} -I -S"
FIGURES = (
    "import json, random, sys; n = random.uniform(1, 1.01) * float(sys.argv[1]);"
    "print(json.dumps({'wall': n, 'cpu': n, 'check': sys.argv[2]}))"
)


def perfcrew(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perfcrew", *arguments], cwd=root, capture_output=True, text=True, timeout=120
    )


def telling(root: Path, a: str, b: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Two commands that tell the figures they are given."""
    (root / "tell.py").write_text(FIGURES)
    sides = [word for side in (a, b) for word in ("--command", f"{PYTHON} tell.py {side}")]
    return perfcrew(root, "compare", *sides, "--metrics", "stdout", "--quiet", "--budget", "20", *options)


@pytest.mark.parametrize(
    ("name", "b", "verdict", "code"),
    [
        ("even", "0.1 same", "equivalent", 0),
        ("faster", "0.08 same", "improved", 0),
        ("slower", "0.12 same", "regressed", 1),
        ("other answers", "0.1 other", None, 3),
    ],
)
def test_the_verdict_is_a_key_and_an_exit_code(tmp_path: Path, name: str, b: str, verdict: str, code: int) -> None:
    done = telling(tmp_path, "0.1 same", b, "--json")
    assert done.returncode == code, done.stderr
    told = json.loads(done.stdout)
    assert (told["verdict"], bool(told["refused"])) == (verdict, verdict is None)
    kept = perfcrew(tmp_path, "evidence", told["evidence"])
    assert kept.returncode == 0 and told["evidence"] in kept.stdout and "comparison" in kept.stdout


def test_answers_that_may_differ_are_judged_and_it_is_said(tmp_path: Path) -> None:
    done = telling(tmp_path, "0.1 same", "0.12 other", "--json", "--answers-may-differ")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], told["answers_may_differ"]) == (1, "regressed", True), done.stderr
    assert any("--answers-may-differ" in note for note in told["notes"])


def test_for_people_the_verdict_stands_first_and_the_plot_beside_it(tmp_path: Path) -> None:
    done = telling(tmp_path, "0.1 same", "0.12 same", "--plot", "forest.svg")
    assert done.stdout.startswith("commands: REGRESSED\n  cpu regressed\n"), done.stderr
    assert "forest.svg" in done.stdout and "noise of this machine" in done.stdout
    xml.dom.minidom.parse(str(tmp_path / "forest.svg"))


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("one side", ["--command", "true"], "--command A --command B"),
        ("no sides", [], "two sides are needed"),
        ("an empty command", ["--command", "", "--command", "true"], "the command is empty"),
        ("an open quotation", ["--command", "echo 'x", "--command", "true"], "close the quotation"),
        ("no budget", ["--command", "true", "--command", "true", "--budget", "0"], "--budget"),
        ("no number of a budget", ["--command", "true", "--command", "true", "--budget", "nan"], "--budget"),
        ("a margin of two", ["--command", "true", "--command", "true", "--margin", "2"], "--margin"),
        ("no such metrics", ["--command", "true", "--command", "true", "--metrics", "guess"], "invalid choice"),
        ("no variable", ["--command", "true", "--command", "true", "--set", "A:X"], "names no variable"),
        ("no folder", ["--command", "true", "--command", "true", "--path", "nowhere"], "no folder"),
        ("no folder of the plot", ["--command", "true", "--command", "true", "--plot", "no/x.svg"], "no folder for"),
        ("two kinds", ["--command", "true", "--command", "true", "--url", "http://x/"], "several kinds"),
    ],
)
def test_what_can_not_be_compared_is_a_wrong_use(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = run(["compare", *arguments])
    except SystemExit as end:  # argparse's own
        code = int(end.code or 0)
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, "") and said in shown.err, shown.err
    assert not (tmp_path / ".perfcrew").exists()


def test_a_program_that_is_not_there_is_no_verdict(tmp_path: Path) -> None:
    done = perfcrew(tmp_path, "compare", "--json", "--quiet", "--command", "true", "--command", "no-such-program-4711")
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert told["verdict"] is None and "can't be started" in told["refused"]


def stopped(root: Path, number: signal.Signals) -> tuple[int, bytes, list[int]]:
    """A comparison of commands that take minutes, sent this signal: its exit code, what it said, their pids."""
    (root / "long.py").write_text("import os, time; open(f'pid-{os.getpid()}', 'w').close(); time.sleep(240)")
    process = subprocess.Popen(
        [sys.executable, "-m", "perfcrew", "compare", *("--command", f"{PYTHON} long.py") * 2],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + 60
        while not list(root.glob("pid-*")) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return process.returncode, said, [int(file.name.removeprefix("pid-")) for file in root.glob("pid-*")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_leaves_no_process_and_does_not_wait_for_the_command(
    tmp_path: Path, number: signal.Signals
) -> None:
    code, said, started = stopped(tmp_path, number)
    assert code == 128 + number and b"interrupted" in said
    assert len(started) == 1 and not psutil.pid_exists(started[0])


def test_what_a_killed_comparison_left_running_is_ended_by_clean(tmp_path: Path) -> None:
    code, _, started = stopped(tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL and len(started) == 1
    done = perfcrew(tmp_path, "clean")
    assert done.returncode == 0 and "side A of a comparison" in done.stdout + done.stderr
    assert not psutil.pid_exists(started[0]) or not alive(psutil.Process(started[0]))


def effect(**given: object) -> Effect:
    told = {"metric": "cpu", "unit": "ms", "direction": "lower", "role": "deciding", "verdict": "regressed"}
    told |= {"a": 50.0, "b": 60.0, "pairs_count": 9, "ratio": Ratio(value=1.2, low=1.1, high=1.3, level=0.99)}
    return Effect.model_validate(told | given)


def comparison(*effects: Effect, **given: object) -> Comparison:
    told = {
        "subject": "GET /<b>&",
        "a": Side(label="A", what="<a>"),
        "b": Side(label="B", what="b"),
        "effects": effects,
    }
    told |= {"verdict": "regressed", "why": "cpu regressed", "design": "interleaved", "pairs_count": 9, "seed": 0}
    told |= {"margin_share": 0.02, "error_share": 0.01, "spent_s": 4.0, "budget_s": 60.0}
    return Comparison.model_validate(told | given)


NOTHING = comparison(verdict=None, why="", refused="a side could not be measured\n  exit: 9", pairs_count=0)
DRAWN = {
    "a regression": comparison(effect()),
    "an interval without an end": comparison(effect(ratio=Ratio(value=1.2, low=0.0, high=4.8e8, level=0.99))),
    "far out": comparison(effect(ratio=Ratio(value=40.0, low=30.0, high=50.0, level=0.99))),
    "next to nothing": comparison(effect(ratio=Ratio(value=1.0, low=1.0, high=1.0, level=0.99), verdict="equivalent")),
    "a count": comparison(effect(metric="rows", unit="count", exact=True, ratio=None, a=4.0, b=9.0)),
    "no figures": NOTHING,
    "markup and control characters": comparison(effect(metric="</text><script>x\x00\ud800"), subject="]]>&\"'\x1b"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_plot_is_sound_and_stands_alone(name: str) -> None:
    drawn = plot([DRAWN[name]])
    root = xml.dom.minidom.parseString(drawn.encode()).documentElement
    assert root is not None and root.getAttribute("role") == "img"
    assert [child.tagName for child in root.childNodes[:2]] == ["title", "desc"]
    assert not root.getElementsByTagName("script")
    assert "http" not in drawn.replace('xmlns="http://www.w3.org/2000/svg"', "") and "nan" not in drawn
    assert "prefers-color-scheme: dark" in drawn


def test_the_plot_says_in_words_what_it_shows() -> None:
    root = xml.dom.minidom.parseString(plot([DRAWN["a regression"], NOTHING])).documentElement
    assert root is not None
    said = root.childNodes[1].firstChild.data
    assert "cpu +20 % (+10 % to +30 %), regressed" in said
    assert "no verdict (a side could not be measured)" in said


def test_what_lies_further_out_is_drawn_further_out() -> None:
    root = xml.dom.minidom.parseString(
        plot([comparison(effect(), effect(ratio=Ratio(value=0.9, low=0.8, high=0.97, level=0.99), verdict="improved"))])
    ).documentElement
    assert root is not None
    drawn = {g.getAttribute("class"): g.getElementsByTagName("line")[0] for g in root.getElementsByTagName("g")}
    worse, better = drawn["regressed"], drawn["improved"]
    assert float(better.getAttribute("x2")) < float(worse.getAttribute("x1")) < float(worse.getAttribute("x2"))


@pytest.mark.parametrize("name", DRAWN)
def test_the_terminal_shows_them_all(name: str) -> None:
    said = "\n".join(lines(DRAWN[name]))
    assert said.splitlines()[0].endswith("REGRESSED" if name != "no figures" else "NO VERDICT")


@pytest.mark.parametrize(
    ("name", "verdicts", "code"),
    [
        ("even", ["equivalent"], 0),
        ("better", ["improved", "equivalent"], 0),
        ("not certain", ["inconclusive"], 0),
        ("one is worse", ["improved", "regressed"], 1),
        ("one has none", ["regressed", None], 3),
    ],
)
def test_exit_codes(name: str, verdicts: list[str | None], code: int) -> None:
    assert exit_code([comparison(verdict=v) for v in verdicts]) == code
