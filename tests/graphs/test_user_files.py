"""A run is of one state of one project, and keeps no secret of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Failure, Run
from perfcrew.graphs.context import Context
from perfcrew.graphs.run import _context
from perfcrew.graphs.steps.frame import without_secrets
from perfcrew.graphs.untouched import refuse_another_state, say_what_was_written, written_since
from perfcrew.instruments.environment import measure_environment
from perfcrew.ledger import Ledger
from perfcrew.target.leftovers import Registry

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"
SECRETS = ("hunter2-hunter2", 'with "quotes" in it', "db-pass-word", "s3ss10n-of-the-login")
CONFIG = """
[target]
start = "python -m uvicorn main:app --port {port}"

[target.environment]
SECRET_KEY = "hunter2-hunter2"
MAIL_PASS = 'with "quotes" in it'
DATABASE_URL = "postgresql://shop:db-pass-word@localhost/shop"
COLOUR = "turquoise"
"""
BEGAN = datetime.now(UTC)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """The context of a run of a small project, as `review` makes it."""
    root, workspace = tmp_path / "shop", tmp_path / "workspace"
    root.mkdir()
    workspace.mkdir()
    for name, content in {"main.py": APP, "perfcrew.toml": CONFIG, "shop.log": "", "page.html": "<p>"}.items():
        (root / name).write_text(content)
        age(root / name, timedelta(hours=-1))
    run = Run(id="20261121-120000-abcd", root=str(root), workflow="review", started_at=BEGAN)
    with Ledger.open(root / ".perfcrew") as ledger:
        ledger.begin(run)
        registry = Registry(root / ".perfcrew" / "leftovers", run.id)
        yield _context(ledger, run, registry, workspace, lambda event: None, None)


def age(file: Path, by: timedelta) -> None:
    at = (BEGAN + by).timestamp()
    os.utime(file, (at, at))


@pytest.mark.parametrize(("touched", "found"), [
    ((), ()),
    (("shop.log",), ("shop.log",)),
    (("shop.sqlite3-shm",), ()),
    (("main.py", "new/upload.bin"), ("main.py", "new/upload.bin")),
    ((".perfcrew/ledger.sqlite3", "out/report.md", "__pycache__/main.pyc"), ()),
])  # fmt: skip
def test_what_was_written_since_a_run_began(touched: tuple[str, ...], found: tuple[str, ...], context: Context) -> None:
    for name in touched:
        file = context.root / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
        age(file, timedelta(minutes=1))
    run = context.ledger.run(context.run)
    assert written_since(context.root, run, context.root / "out") == found
    say_what_was_written(context)
    told = [e.body.error for e in context.ledger.find(context.run, "failure") if isinstance(e.body, Failure)]
    assert len(told) == bool(
        {t for t in touched if not t.startswith((".perfcrew", "__pycache__")) and not t.endswith("-shm")}
    )
    assert all(name in told[0] for name in found)


async def taken(context: Context, **other: object) -> None:
    """The environment as the run found it when it began."""
    now = await measure_environment(context.project)
    context.put("environment", now.model_copy(update=other), context.method("perfcrew"))


@pytest.mark.parametrize(("before", "touched", "said"), [
    ({}, None, None),
    ({"load_average": 99.0}, "shop.log", None),
    ({}, "main.py", "main.py"),
    ({}, "page.html", "page.html"),
    ({"commit": "f00"}, None, "commit"),
    ({"cores": 640, "cpu_model": "another"}, None, "cpu_model, cores"),
    ({"packages": {"fastapi": "0.1"}}, None, "packages"),
])  # fmt: skip
async def test_a_run_is_not_gone_on_with_in_another_state(
    before: dict[str, object], touched: str | None, said: str | None, context: Context
) -> None:
    await taken(context, **before)
    if touched:
        age(context.root / touched, timedelta(minutes=1))
    if said is None:
        await refuse_another_state(context)
        return
    with pytest.raises(UsageError, match=f"{said} changed since"):
        await refuse_another_state(context)


async def test_a_run_that_did_not_come_to_its_environment_goes_on(context: Context) -> None:
    age(context.root / "main.py", timedelta(minutes=1))
    await refuse_another_state(context)


def test_what_the_target_prints_is_kept_without_its_secrets(context: Context) -> None:
    context._carried.add("s3ss10n-of-the-login")
    said = "\n".join([*SECRETS, "postgresql://shop:db-pass-word@localhost/shop", "turquoise"])
    (context.workspace / "survey.log").write_text(said.replace("db-pass-word\n", ""))
    context._keep_log("survey")
    context.failed("survey", "GET /", said.replace("db-pass-word\n", ""))
    log, failure = (context.ledger.find(context.run, kind)[0] for kind in ("log", "failure"))
    kept = [log.model_dump_json(), failure.model_dump_json(), context.ledger.blob(log.blobs["log"]).decode()]
    for text in kept:
        assert "turquoise" in text
        assert not any(secret in text.replace('\\"', '"') for secret in SECRETS)


def test_the_frame_holds_no_secret(context: Context) -> None:
    start = (*context.project.start, "--key", "hunter2-hunter2", "--mail", 'with "quotes" in it')
    kept = without_secrets(context.project.model_copy(update={"start": start}))
    assert "main:app" in " ".join(kept.start)
    assert not any(secret in kept.model_dump_json().replace('\\"', '"') for secret in SECRETS)
