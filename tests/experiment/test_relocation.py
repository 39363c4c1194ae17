"""A project in a worktree runs the worktree's code, however the user's tree is installed."""

from __future__ import annotations

import subprocess
import venv
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from perfcrew.core.errors import Unmeasurable
from perfcrew.core.project import DataPlan, Project
from perfcrew.experiment.worktrees import Worktree, relocate, worktree
from perfcrew.target.environment import environment_of
from perfcrew.target.leftovers import Registry

from .repositories import commit, repository, write

_FINDER = """
import sys
from importlib.machinery import PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
MAPPING = {"shop": %r}
class _EditableFinder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in MAPPING:
            return spec_from_file_location(name, Path(MAPPING[name]) / "__init__.py")
def install():
    sys.meta_path.%s
"""


@pytest.fixture(scope="module")
def base_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


@pytest.fixture
def packages(base_python: Path) -> Iterator[Path]:
    found = subprocess.run(
        [base_python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    folder = Path(found.stdout.strip())
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        subprocess.run(["rm", "-r", str(path)], check=True, timeout=30)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = repository(tmp_path / "a shop")
    write(root, services__web__src__shop__INIT_dot_py="WHERE = __file__\n", libs__common__common_dot_py="x = 1\n")
    write(root, services__web__queue_dot_py="# hides the standard library's where it is on the search path\n")
    commit(root, "services")
    return root


@pytest.fixture
async def tree(root: Path, tmp_path: Path) -> AsyncIterator[Worktree]:
    (tmp_path / "workspace").mkdir()
    async with worktree(root / "services" / "web", Registry(tmp_path / "left"), tmp_path / "workspace") as made:
        yield made


def _project(root: Path, python: Path, **given: object) -> Project:
    made = {"name": "shop", "framework": "unknown", "start": ("uvicorn", "shop:app")}
    return Project.model_validate({**made, "root": root, "workdir": root, "python": python, **given})


def _by_path(packages: Path, root: Path) -> None:
    (packages / "shop.pth").write_text(f"{root}/services/web/src\n{root}/libs/common\n")


def _by_finder(packages: Path, root: Path) -> None:
    (packages / "__editable___shop_finder.py").write_text(
        _FINDER % (f"{root}/services/web/src/shop", "append(_EditableFinder)")
    )
    (packages / "shop.pth").write_text("import __editable___shop_finder as f; f.install()\n")


def _not_installed(packages: Path, root: Path) -> None:
    """Found by its folder alone."""


def _copied(packages: Path, root: Path) -> None:
    write(packages, shop__INIT_dot_py="WHERE = __file__\n")


INSTALLED: dict[str, Callable[[Path, Path], None]] = {
    "editable, by a path": _by_path,
    "editable, by setuptools' finder": _by_finder,
    "not installed": _not_installed,
    "installed as a copy": _copied,
}


@pytest.mark.parametrize("how", INSTALLED)
def test_the_worktrees_module_is_the_one_imported(
    root: Path, tree: Worktree, base_python: Path, packages: Path, how: str
) -> None:
    INSTALLED[how](packages, root)
    web = root / "services" / "web"
    if how.startswith("editable"):
        said = _printed(_project(web, base_python), "import shop; print(shop.WHERE)")
        assert said == str(web / "src/shop/__init__.py"), "or this would show nothing"
    project = relocate(_project(web, base_python), web, tree.target_root)
    assert _printed(project, "import shop; print(shop.WHERE)") == str(tree.target_root / "src/shop/__init__.py")
    assert _printed(project, "import queue; print(hasattr(queue, 'Empty'))") == "True"
    if how == "editable, by a path":
        said = _printed(project, "import common; print(common.__file__)")
        assert said == str(tree.path / "libs/common/common.py"), "a neighbour in the same repository"


def test_an_installation_that_wins_over_the_search_path_is_said(
    root: Path, tree: Worktree, base_python: Path, packages: Path
) -> None:
    (packages / "__editable___shop_finder.py").write_text(
        _FINDER % (f"{root}/services/web/src/shop", "insert(0, _EditableFinder)")
    )
    (packages / "shop.pth").write_text("import __editable___shop_finder as f; f.install()\n")
    web = root / "services" / "web"
    with pytest.raises(Unmeasurable, match="shop from"):
        relocate(_project(web, base_python), web, tree.target_root)


def _printed(project: Project, program: str) -> str:
    done = subprocess.run(
        [project.python, "-c", program],
        cwd=project.workdir.parent,
        env=environment_of(project, None),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_paths_move_but_for_the_interpreter_and_the_data(root: Path, tmp_path: Path, base_python: Path) -> None:
    web, to = root / "services" / "web", tmp_path / "elsewhere" / "services" / "web"
    project = _project(
        web,
        base_python,
        workdir=web / "src",
        start=("uvicorn", f"--app-dir={web}/src", "shop:app", f"--log={web}x/log"),
        migrate=(f"{web}/manage.py", "migrate"),
        tests=("pytest", str(web)),
        data=DataPlan(seed=("python", f"{web}/seed.py", "{rows}")),
        database_url=f"sqlite:///{web}/shop.db",
        database_files=(web / "shop.db",),
        environment={
            "CONFIG": f"{web}/config.toml",
            "DATABASE_URL": f"sqlite:///{web}/shop.db",
            "CACHE": f"file://{web}/cache",
            "DATA": f"{web}/shop.db",
            "NEIGHBOUR": f"{root}/libs:{web}/src",
            "PYTHONPATH": "src",
        },
    )
    to.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(tmp_path / "elsewhere")], check=True, timeout=30)
    (to / "src").mkdir()
    moved = relocate(project, web, to)
    assert (moved.root, moved.workdir, moved.python) == (to, to / "src", base_python)
    assert moved.start == ("uvicorn", f"--app-dir={to}/src", "shop:app", f"--log={web}x/log".replace(*_tops(web, to)))
    assert moved.migrate == (f"{to}/manage.py", "migrate")
    assert moved.tests == ("pytest", str(to))
    assert moved.data.seed[1] == f"{to}/seed.py"
    assert (moved.database_url, moved.database_files) == (project.database_url, project.database_files)
    for name in ("DATABASE_URL", "CACHE", "DATA"):
        assert moved.environment[name] == project.environment[name], name
    assert moved.environment["CONFIG"] == f"{to}/config.toml"
    assert moved.environment["NEIGHBOUR"] == f"{to.parents[1]}/libs:{to}/src"
    assert moved.environment["PYTHONPATH"].split(":")[0] == f"{to}/src"


def _tops(web: Path, to: Path) -> tuple[str, str]:
    """`web` and `webx` lie in the same repository: both move."""
    return str(web.parents[1]), str(to.parents[1])


def test_an_environment_inside_the_project_stays(tmp_path: Path) -> None:
    root = repository(tmp_path / "shop")
    venv.create(root / ".venv", with_pip=False, symlinks=True)
    to = tmp_path / "to"
    subprocess.run(["git", "init", "-q", str(to)], check=True, timeout=30)
    project = _project(root, root / ".venv/bin/python", start=(f"{root}/.venv/bin/uvicorn", f"{root}/api/run.py"))
    moved = relocate(project, root, to)
    assert moved.start == (f"{root}/.venv/bin/uvicorn", f"{to}/api/run.py")
    assert moved.python == root / ".venv/bin/python"
