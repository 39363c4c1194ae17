"""The probe's control sockets: taken away by who started the target, and nothing else with them."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from reviews import APPS

from perfcrew.core.evidence import Run
from perfcrew.graphs.run import _context
from perfcrew.instruments import control
from perfcrew.ledger import Ledger
from perfcrew.target.leftovers import Registry


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name leaves room for that of a socket."""
    folder = Path(tempfile.mkdtemp(prefix="pc-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def told(probe_dir: Path, *places: Path) -> None:
    """What processes of a target say of their sockets."""
    probe_dir.mkdir(exist_ok=True)
    for pid, place in enumerate(places, 1):
        hello = {"type": "hello", "pid": pid, "mode": "otel", "control": str(place)}
        (probe_dir / f"{pid}.jsonl").write_text(json.dumps(hello) + "\n")


def bound(place: Path) -> Path:
    """A socket as it stays when its process was killed."""
    place.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place))
    return place


REMOVED = {"in the probe's folder": "probe/1.sock", "in a folder of its own": "perfcrew-control-x/1.sock"}
KEPT = {"in a folder that is not the probe's": "run/1.sock", "above the probe's folder": "1.sock"}


@pytest.mark.parametrize("name", REMOVED)
def test_a_dead_targets_socket_is_removed_with_its_folder(name: str, short: Path) -> None:
    place = bound(short / REMOVED[name])
    told(short / "probe", place, short / "never-made" / "2.sock")
    control.remove(short / "probe")
    assert not place.exists()
    assert {p.name for p in short.iterdir()} == {"probe"}


@pytest.mark.parametrize("name", KEPT)
def test_another_socket_stays_whatever_the_target_says(name: str, short: Path) -> None:
    place = bound(short / KEPT[name])
    told(short / "probe", place)
    control.remove(short / "probe")
    assert place.exists()


def test_a_file_stays_and_so_does_a_folder_that_holds_more(short: Path) -> None:
    file, place = short / "probe" / "notes.sock", bound(short / "perfcrew-control-x" / "1.sock")
    told(short / "probe", file, place)
    file.write_text("somebody's")
    other = bound(place.with_name("2.sock"))
    control.remove(short / "probe")
    assert file.exists()
    assert other.exists()
    assert not place.exists()


@pytest.mark.target
async def test_no_socket_outlives_a_target_that_puts_it_beside_the_run(short: Path) -> None:
    """A start command that chooses another temporary folder, and a workspace with a name too long for a socket."""
    root, elsewhere, workspace = short / "shop", short / "t", short / ("long" * 25)
    for folder in (root, elsewhere, workspace):
        folder.mkdir()
    (root / "main.py").write_bytes((APPS / "chatty.py").read_bytes())
    start = f"env TMPDIR={elsewhere} {sys.executable} -m uvicorn main:app --host {{host}} --port {{port}}"
    (root / "perfcrew.toml").write_text(f'[target]\nstart = "{start}"\n')
    run = Run(id="20261121-120000-abcd", root=str(root), workflow="review", started_at=datetime.now(UTC))
    with Ledger.open(root / ".perfcrew") as ledger:
        ledger.begin(run)
        context = _context(ledger, run, Registry(root / ".perfcrew" / "leftovers", run.id), workspace, print, None)
        async with context.started("heap", parts=("heap",)) as instance:
            assert instance.probe_dir is not None
            assert await control.ask_all(instance.probe_dir, "ping")
            assert list(elsewhere.glob("perfcrew-control-*/*.sock")), "the socket was to be put there"
        context.close()
    assert list(elsewhere.iterdir()) == []
