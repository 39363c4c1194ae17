"""`perfcrew vectors`: a column of a real pgvector, copied and put away again; FAISS indexes and .npy files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from perfcrew.instruments import faiss_sweep
from perfcrew.surfaces import cli
from tests.instruments.database_clones import TestClone
from tests.instruments.vector_tables import DIMENSIONS, clustered
from tests.instruments.vector_tables import vectors as vectors


@dataclass
class Here:
    """The command line within this process, from a folder of its own."""

    folder: Path
    captured: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        code = cli.run(["vectors", *arguments])
        said = self.captured.readouterr()
        return code, said.out, said.err


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, capsys)


def state(clone: TestClone) -> tuple[object, ...]:
    db = clone.connect()
    try:
        names = db.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
        return names, db.execute("SELECT relname FROM pg_class WHERE relname !~ '^pg_' ORDER BY 1").fetchall()
    finally:
        db.close()


@pytest.mark.postgres
def test_a_column_by_hand(vectors: TestClone, here: Here) -> None:
    before = state(vectors)
    code, out, err = here.run(
        "items.e",
        "--database",
        _uri(vectors),
        "--budget",
        "8",
        "--queries",
        "6",
        "--recall",
        "0.9",
        "--plot",
        "near.svg",
    )
    assert code == 0, err
    assert "recommended: " in out and "vector_cosine_ops" in out and "growth of exact" in out
    assert state(vectors) == before
    drawing = ElementTree.fromstring((here.folder / "near.svg").read_text())
    assert drawing.attrib["aria-label"].startswith("Recall of items.e <=>")
    assert not list((here.folder / ".perfcrew" / "leftovers").glob("*.jsonl"))


def _uri(clone: TestClone) -> str:
    with clone.connect() as db:
        return f"postgresql://{db.info.user}@/{db.info.dbname}?host={db.info.host}"


REFUSED = {
    "no database is known": (["items.e"], 2, "no PostgreSQL database is known"),
    "neither a file nor a column": (["items", "--database", "{uri}"], 2, "neither a file nor TABLE.COLUMN"),
    "a recall that is none": (["items.e", "--recall", "95"], 2, "--recall is a fraction"),
    "a folder for the plot that is not there": (["items.e", "--plot", "/nowhere/a.svg"], 2, "no folder for"),
    "a column that is not there": (["items.f", "--database", "{uri}"], 3, "no column of type vector"),
    "a server that is not there": (["items.e", "--database", "postgresql:///x?host=/nowhere"], 3, "no connection"),
}


@pytest.mark.postgres
@pytest.mark.parametrize("name", REFUSED)
def test_refused(vectors: TestClone, here: Here, name: str) -> None:
    (here.folder / "pyproject.toml").write_text("[project]\nname = 'near'\nversion = '0'\n")
    (here.folder / "app.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    arguments, code, said = REFUSED[name]
    found, _, err = here.run(*(word.replace("{uri}", _uri(vectors)) for word in arguments))
    assert found == code and said in err


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Vectors as .npy, and in FAISS indexes of several kinds."""
    import faiss
    import numpy

    folder = tmp_path_factory.mktemp("faiss")
    rows = numpy.array(list(clustered(3000, DIMENSIONS)), dtype="float32")
    numpy.save(folder / "vectors.npy", rows)
    for name, kind, metric in (
        ("ivf", "IVF60,Flat", faiss.METRIC_L2),
        ("inner", "Flat", faiss.METRIC_INNER_PRODUCT),
        ("hnsw", "HNSW16", faiss.METRIC_L2),
        ("codes", "IVF30,PQ4x4", faiss.METRIC_L2),
    ):
        index = faiss.index_factory(DIMENSIONS, kind, metric)
        index.train(rows)
        index.add(rows)
        faiss.write_index(index, str(folder / f"{name}.faiss"))
    (folder / "broken.faiss").write_bytes(b"nothing that FAISS wrote")
    numpy.save(folder / "few.npy", rows[:10])
    yield folder


def swept(file: Path, captured: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the script prints, run as the target's interpreter would."""
    code = faiss_sweep.main([str(file), "--budget", "10", "--queries", "20", "--json"])
    said = captured.readouterr()
    assert code in (0, 1), said.err
    return json.loads(said.out)  # type: ignore[no-any-return]


def test_vectors_of_a_file(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = swept(kept / "vectors.npy", capsys)
    kinds = {way["name"].split()[0] for way in found["ways"]}
    assert kinds == {"ivf", "hnsw"}
    probes = [way["recall"] for way in found["ways"] if way["name"].startswith("ivf nlist=76,")]
    assert probes == sorted(probes) and probes[0] < 0.95 < probes[-1]
    assert any(way["frontier"] for way in found["ways"])


OWN = {
    "ivf": ("IndexIVFFlat nlist=60 nprobe=1", ""),
    "inner": ("IndexFlatIP", ""),
    "hnsw": ("IndexHNSWFlat efConstruction=40 efSearch=16", ""),
    "codes": ("IndexIVFPQ nlist=30 nprobe=1", "the index keeps codes"),
}


@pytest.mark.parametrize("name", OWN)
def test_an_index_as_it_stands(kept: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    kind, note = OWN[name]
    found = swept(kept / f"{name}.faiss", capsys)
    own, *others = found["ways"]
    assert own["name"] == f"as it stands: {kind}" and others
    assert (own["recall"] < 0.9) == ("IVF" in kind)
    assert note in " ".join(found["notes"])


@pytest.mark.parametrize(("file", "said"), [("broken.faiss", "can't be read"), ("few.npy", "a thousand vectors")])
def test_a_file_that_holds_nothing_to_sweep(
    kept: Path, file: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert faiss_sweep.main([str(kept / file)]) == 2
    assert said in capsys.readouterr().err


def test_the_script_runs_by_itself_in_an_interpreter_that_has_no_perfcrew(kept: Path) -> None:
    line = [sys.executable, "-S", str(faiss_sweep.__file__), str(kept / "vectors.npy")]  # and no site-packages either
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3 and "pip install" in done.stderr and "Traceback" not in done.stderr


def test_a_file_by_the_command(kept: Path, here: Here) -> None:
    assert here.run(str(kept / "few.npy"))[0] == 2
