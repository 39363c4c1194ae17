"""The review is held to what is planted in the bookshop: all of it, at its line, and nothing on what is healthy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

BOOKSHOP = Path(__file__).resolve().parents[2] / "examples" / "bookshop"
PLANTED = yaml.safe_load((BOOKSHOP / "planted.yaml").read_text())
RULES = [fault["rule"] for fault in PLANTED["faults"]]
LEFT_OUT = shutil.ignore_patterns("node_modules", "dist", ".perfcrew", "*.sqlite3*", "__pycache__", ".pytest_cache")

pytestmark = [pytest.mark.target, pytest.mark.alone, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Reviewed:
    """A finished review: where, its exit code, and what it printed as JSON."""

    root: Path
    exit: int
    result: dict[str, Any]

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(Path(self.result["report"]).read_text())

    @property
    def findings(self) -> list[dict[str, Any]]:
        return [section["finding"] for section in self.report["findings"]]


def perfcrew(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perfcrew", *arguments], capture_output=True, text=True, timeout=800, check=False
    )


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewed]:
    root = tmp_path_factory.mktemp("demo") / "bookshop"
    shutil.copytree(BOOKSHOP, root, ignore=LEFT_OUT)
    before = sorted(p for p in root.rglob("*") if p.is_file())
    done = perfcrew("review", str(root), "--all", "--json")
    assert done.stdout, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    yield Reviewed(root, done.returncode, result)
    after = sorted(p for p in root.rglob("*") if p.is_file() and ".perfcrew" not in p.parts)
    assert after == before, "the review wrote into the target's tree"


def line_of(file: str, needle: str) -> int:
    lines = (BOOKSHOP / file).read_text().splitlines()
    (number,) = [n for n, line in enumerate(lines, start=1) if line.strip() == needle]
    return number


@pytest.mark.parametrize("fault", PLANTED["faults"], ids=RULES)
def test_planted_fault_is_found_at_its_line(reviewed: Reviewed, fault: dict[str, Any]) -> None:
    found = [f for f in reviewed.findings if f["rule"] == fault["rule"] and f["place"]["file"] == fault["file"]]
    assert len(found) == 1, [f["place"] for f in reviewed.findings if f["rule"] == fault["rule"]]
    lines = {line_of(fault["file"], needle) for needle in (fault["needle"], *fault.get("also", ()))}
    assert found[0]["place"]["line"] in lines
    if fault.get("shows_at") != "start":
        assert found[0]["endpoint"] == fault["endpoint"]
    if "trigger" in fault and found[0]["trigger"]:
        assert found[0]["trigger"]["file"] == fault["trigger"]["file"]
        assert found[0]["trigger"]["line"] == line_of(fault["trigger"]["file"], fault["trigger"]["needle"])


def test_nothing_is_found_on_healthy_endpoints(reviewed: Reviewed) -> None:
    healthy = {entry["endpoint"] for entry in PLANTED["healthy"]}
    wrong = [(f["rule"], f["endpoint"], f["place"]) for f in reviewed.findings if f["endpoint"] in healthy]
    assert wrong == []
    assert [f["also"] for f in reviewed.findings if set(f["also"]) & healthy] == []


def test_each_fault_is_reported_once(reviewed: Reviewed) -> None:
    assert sorted(f["rule"] for f in reviewed.findings) == sorted(RULES)


def test_the_gate_passed_and_the_exit_code_says_findings(reviewed: Reviewed) -> None:
    assert reviewed.result["passed"]
    assert reviewed.exit == 1


def test_every_format_is_written(reviewed: Reviewed) -> None:
    folder = Path(reviewed.result["report"]).parent
    assert {p.name for p in folder.iterdir()} >= {
        "report.md",
        "report.html",
        "report.json",
        "report.sarif",
        "report.junit.xml",
    }


def test_the_gate_checks_the_file_again_and_refuses_one_edited_by_hand(reviewed: Reviewed) -> None:
    path = Path(reviewed.result["report"])
    assert perfcrew("gate", str(path)).returncode == 0
    edited = path.with_name("edited.json")
    report = reviewed.report
    report["title"] = "Nothing to see here"
    edited.write_text(json.dumps(report))
    refused = perfcrew("gate", str(edited))
    assert refused.returncode == 1
    assert "gate: FAILED" in refused.stdout


def test_evidence_is_printed_by_its_id(reviewed: Reviewed) -> None:
    cited = reviewed.findings[0]["evidence"][0]
    printed = json.loads(perfcrew("evidence", cited, str(reviewed.root)).stdout)
    assert printed["id"] == cited
    assert printed["method"]["tool"]
    assert printed["method"]["environment"].startswith("E-")


def test_the_whole_took_longer_measuring_than_thinking(reviewed: Reviewed) -> None:
    listed = perfcrew("evidence", reviewed.result["run"], str(reviewed.root)).stdout
    (timing,) = [line.split()[0] for line in listed.splitlines() if " timing " in line]
    body = json.loads(perfcrew("evidence", timing, str(reviewed.root)).stdout)["body"]
    assert 0 < body["measuring_ms"] <= body["total_ms"]
