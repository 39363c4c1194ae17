"""An environment of its own for changed dependencies: it has them, and the target's packages, which stay."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from perfcrew.core.errors import TargetFailed, Unmeasurable
from perfcrew.core.project import Project
from perfcrew.experiment.environments import asked_for, clone, within
from perfcrew.target.leftovers import Registry


def project(root: Path, python: Path = Path(sys.executable)) -> Project:
    return Project(
        root=root,
        name="shop",
        framework="fastapi",
        python=python,
        workdir=root,
        start=(str(python.parent / "uvicorn"), "main:app"),
        tests=(str(python), "-m", "pytest"),
    )


def wheel(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(exist_ok=True)
    file, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as out:
        out.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        out.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        out.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        out.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return file


def said(python: Path | str, program: str) -> str:
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, timeout=60)
    return (done.stdout or done.stderr.splitlines()[-1]).strip()


async def installed(root: Path, words: list[str], python: Path = Path(sys.executable)) -> Project:
    to = root / "environment"
    own = project(root, python)
    await clone(own, words, to=to, workspace=root, registry=Registry(root / "leftovers"))
    return within(own, to)


async def test_it_has_what_is_new_and_what_the_target_has(tmp_path: Path) -> None:
    found = await installed(tmp_path, [str(wheel(tmp_path / "wheels", "tinyshelf", "1.0"))])
    assert said(found.python, "import tinyshelf, pydantic; print(tinyshelf.VERSION)") == "1.0"
    assert "No module named 'tinyshelf'" in said(sys.executable, "import tinyshelf")
    assert found.start == (str(tmp_path / "environment/bin/uvicorn"), "main:app")
    assert found.tests == (str(found.python), "-m", "pytest")
    head = (tmp_path / "environment" / "bin" / "uvicorn").read_text().splitlines()[0]
    assert head == f"#!{tmp_path}/environment/bin/python"


async def test_another_version_lies_over_the_targets_and_that_stays(tmp_path: Path) -> None:
    before = said(sys.executable, "import pluggy; print(pluggy.__version__)")
    found = await installed(tmp_path, [str(wheel(tmp_path / "wheels", "pluggy", "99.0"))])
    assert said(found.python, "import pluggy; print(pluggy.VERSION)") == "99.0"
    assert said(sys.executable, "import pluggy; print(pluggy.__version__)") == before != "99.0"


async def test_what_can_not_be_installed_is_told(tmp_path: Path) -> None:
    with pytest.raises(TargetFailed, match="the environment with the changed dependencies failed"):
        await installed(tmp_path, [str(tmp_path / "there-is-none.whl")])


async def test_without_a_virtual_environment_it_is_not_tried(tmp_path: Path) -> None:
    with pytest.raises(Unmeasurable, match="no virtual environment"):
        await installed(tmp_path, ["x"], python=tmp_path / "bin" / "python")


@pytest.mark.parametrize(
    ("name", "before", "after", "words"),
    [
        ("main.py", "a = 1\n", "a = 2\n", []),
        ("requirements.txt", "django==5.0\n", "# faster\ndjango==5.0\norjson>=3  # new\n", ["orjson>=3"]),
        ("requirements-dev.txt", None, "./vendor/x.whl\n", ["./vendor/x.whl"]),
        ("requirements/prod.txt", "a\n", "a\nb\n", ["b"]),
        (
            "pyproject.toml",
            '[project]\nname = "a"\ndependencies = ["orjson"]\n',
            '[project]\nname = "a"\ndependencies = ["httpx>=0.27", "orjson"]\n',
            ["httpx>=0.27"],
        ),
        ("pyproject.toml", '[project]\nname = "a"\n', "[tool.ruff]\nline-length = 100\n", []),
    ],
)
def test_only_what_is_new_is_asked_for(
    name: str, before: str | None, after: str, words: list[str], tmp_path: Path
) -> None:
    for side, text in (("before", before), ("after", after)):
        file = tmp_path / side / name
        file.parent.mkdir(parents=True)
        if text is not None:
            file.write_text(text)
    assert asked_for(tmp_path / "before", tmp_path / "after", [name]) == words


@pytest.mark.parametrize("name", ["Pipfile", "uv.lock", "environment.yml", "requirements.in"])
def test_what_can_not_be_told_is_not_tried(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unmeasurable, match=name):
        asked_for(tmp_path, tmp_path, [name])


def test_options_of_pip_are_not_tried(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("--index-url https://example.com/\n")
    with pytest.raises(Unmeasurable, match="an option of pip"):
        asked_for(tmp_path / "before", tmp_path, ["requirements.txt"])
