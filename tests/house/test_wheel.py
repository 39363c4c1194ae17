"""The wheel built from the sdist works away from the checkout, and carries the rooms."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from perfcrew import rooms

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")


def done(command: list[str], **more: object) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, **more)  # type: ignore[call-overload]
    assert result.returncode == 0, result.stderr
    return str(result.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    done([str(UV), "build", "--offline", "--no-build-isolation", "--python", sys.executable, "-o", str(out), str(ROOT)])
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_carries_every_room_file_and_nothing_at_top_level(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"perfcrew/_rooms/{name}" for room in rooms.ROOMS for name in rooms.names(room)} <= names
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {"perfcrew"}


def test_it_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    done(
        [
            str(UV),
            "pip",
            "install",
            "--offline",
            "--no-deps",
            "--python",
            sys.executable,
            "--target",
            str(place),
            str(wheel),
        ]
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), sysconfig.get_paths()["purelib"]])}
    asked = (
        "import perfcrew; from perfcrew import rooms, settings; from perfcrew.crew import cards;"
        "print(perfcrew.__file__, rooms.home(), cards.policy('review').name, settings.load().profile.name)"
    )
    said = done([sys.executable, "-c", asked], env=environment, cwd=tmp_path).split()
    assert all(path.startswith(str(place)) for path in said[:2])
    assert said[2:] == ["review", "web-api"]
    assert "DB101" in done([sys.executable, "-m", "perfcrew", "rules"], env=environment, cwd=tmp_path)
