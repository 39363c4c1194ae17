"""The command line: what is refused, with which exit code, and what to do about it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perfcrew import __version__
from perfcrew.surfaces.display import Lines, text


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perfcrew", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


REFUSED = {
    "no command": ([], ""),
    "an unknown command": (["revue"], "invalid choice"),
    "a folder that is not there": (["review", "/nowhere/at/all"], "no folder"),
    "two scopes at once": (["review", "{empty}", "--all", "--base", "main"], "exclude each other"),
    "what is no finding": (["optimize", "--path", "{empty}", "--all", "DB101-typo"], "'DB101-typo' is no finding"),
    "a project that is none": (["review", "{empty}", "--all"], "perfcrew.toml"),
    "an unknown rule": (["rules", "XX999"], "known rules"),
    "a report that is not there": (["gate", "/nowhere/report.json"], "can't be read"),
    "init of a project that is none": (["init", "{empty}", "--print"], "perfcrew.toml"),
    "an unknown profile": (["review", "{empty}", "--all", "--profile", "best"], "no profile 'best'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_two(name: str, tmp_path: Path) -> None:
    arguments, said = REFUSED[name]
    done = run(*(word.replace("{empty}", str(tmp_path)) for word in arguments))
    assert done.returncode == 2
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["resume", "20260101-000000-abcd"], ["evidence"], ["evidence", "E-0000"]])
def test_without_a_ledger_it_says_so(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "perfcrew", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 3
    assert "no ledger here" in done.stderr


def test_a_refused_review_leaves_nothing_in_the_tree_but_its_own_folder(tmp_path: Path) -> None:
    run("review", str(tmp_path), "--all")
    assert {p.name for p in tmp_path.iterdir()} <= {".perfcrew"}


def test_clean_finds_nothing_where_nothing_was_left(tmp_path: Path) -> None:
    done = run("clean", str(tmp_path))
    assert done.returncode == 0
    assert "nothing was left" in done.stdout


def test_the_version_is_in_one_place() -> None:
    assert run("--version").stdout.strip() == f"perfcrew {__version__}"


def test_plain_lines_tell_a_stage_once_and_then_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for done in range(50):
        lines({"stage": "baseline", "what": f"GET /{done}", "done": done, "total": 50, "left_s": 9.6})
    lines({"stage": "traces", "what": "", "done": 0, "total": 0, "left_s": None})
    assert capsys.readouterr().err.splitlines() == ["baseline 0/50  GET /0  (about 10 s left)", "traces"]


def test_an_event_without_a_count_is_told_without_one() -> None:
    assert text({"stage": "frame", "what": "looking", "done": 0, "total": 0, "left_s": None}) == "frame  looking"


def test_progress_as_json_is_json(tmp_path: Path) -> None:
    done = run("review", str(tmp_path), "--all", "--json")
    assert all(json.loads(line) for line in done.stdout.splitlines())
