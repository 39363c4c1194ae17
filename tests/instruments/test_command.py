"""One run of a command: what it took, what it answered, and that nothing of it is left."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcrew.core.errors import CommandError, ToolMissing, Unmeasurable, UsageError
from perfcrew.instruments.command import Launch, Stop, measure_command, words

FIGURES = 'import json; print(json.dumps({"wall": 0.25, "cpu": 0.125, "check": "9f2c", "rows": 7}))'


def python(code: str, root: Path, **options: object) -> Launch:
    return Launch((sys.executable, "-S", "-c", code), root, **options)  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    """Whether it ends within a moment; a zombie whose parent is elsewhere counts as ended."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_waiting_is_time_that_passes_and_work_is_processor_time(tmp_path: Path) -> None:
    waits = measure_command(python("import time; time.sleep(0.4)", tmp_path))
    works = measure_command(python("import time\nwhile time.process_time() < 0.4: pass", tmp_path))
    assert waits.wall_ms >= 400 and works.cpu_ms >= 400
    assert waits.cpu_ms < works.cpu_ms
    assert works.ready_ms is None or works.ready_ms <= works.wall_ms


def test_the_time_of_children_that_it_waits_for_counts(tmp_path: Path) -> None:
    inner = "import time\nwhile time.process_time() < 0.3: pass"
    run = measure_command(
        python(f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {inner!r}])", tmp_path)
    )
    assert run.cpu_ms >= 300
    assert not run.left_running


def test_what_it_prints_is_kept_as_a_digest_however_much(tmp_path: Path) -> None:
    run = measure_command(python("import sys; sys.stdout.write('x' * 30_000_000)", tmp_path))
    assert run.check == hashlib.sha256(b"x" * 30_000_000).hexdigest()[:16]


def test_its_own_figures_are_read_from_the_last_line_also_after_megabytes(tmp_path: Path) -> None:
    run = measure_command(python(f"print('x' * 3_000_000)\n{FIGURES}\nprint()", tmp_path, own_figures=True))
    assert dict(run.own) == {"wall": 250.0, "cpu": 125.0, "rows": 7.0}
    assert run.check == "9f2c"


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("nothing", ""),
        ("no JSON", "done in 0.2 s"),
        ("a list", "[0.25, 0.125]"),
        ("a number", "0.25"),
        ("no cpu", '{"wall": 0.25}'),
        ("a word", '{"wall": 0.25, "cpu": "fast"}'),
        ("a truth", '{"wall": 0.25, "cpu": true}'),
        ("no number", '{"wall": 0.25, "cpu": NaN}'),
        ("without end", '{"wall": Infinity, "cpu": 0.1}'),
        ("back in time", '{"wall": 0.25, "cpu": -0.1}'),
        ("cut off", '{"wall": 0.25, "cpu": 0.1'),
    ],
)
def test_a_last_line_that_is_no_figures_is_refused(tmp_path: Path, name: str, last: str) -> None:
    with pytest.raises(Unmeasurable, match="not its figures"):
        measure_command(python(f"print({last!r})", tmp_path, own_figures=True))


def test_a_failure_carries_the_command_its_exit_and_the_end_of_what_it_said(tmp_path: Path) -> None:
    code = "import sys; print('y' * 9000, 'the reason', file=sys.stderr); sys.exit(7)"
    with pytest.raises(CommandError) as caught:
        measure_command(python(code, tmp_path))
    assert (caught.value.exit, caught.value.command[0]) == (7, sys.executable)
    assert caught.value.tail.endswith("the reason") and len(caught.value.tail) <= 2000


def test_a_command_that_is_killed_failed(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        measure_command(python("import os; os.kill(os.getpid(), 9)", tmp_path))
    assert caught.value.exit == -9


@pytest.mark.parametrize(("name", "command"), [("no program", "no-such-program-4711"), ("no folder", "true")])
def test_what_can_not_be_started_is_told(tmp_path: Path, name: str, command: str) -> None:
    with pytest.raises(ToolMissing, match="can't be started"):
        measure_command(Launch((command,), tmp_path if name == "no program" else tmp_path / "nowhere"))


def test_one_that_hangs_is_ended_with_its_children_when_its_time_is_over(tmp_path: Path) -> None:
    code = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}'); time.sleep(60)"
    )
    with pytest.raises(CommandError, match="did not end within 2 s"):
        measure_command(python(code, tmp_path, timeout_s=2.0))
    assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


@pytest.mark.parametrize(
    ("name", "session"), [("in its session", False), ("in a session of its own, without a parent", True)]
)
def test_a_child_that_is_left_running_is_told_and_ended(tmp_path: Path, name: str, session: bool) -> None:
    code = (
        f"import subprocess; c = subprocess.Popen(['sleep', '60'], start_new_session={session})\n"
        "open('pid', 'w').write(str(c.pid)); c.returncode = 0"
    )
    run = measure_command(python(code, tmp_path))
    assert run.left_running
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_helper_that_ends_with_its_parent_is_not_left_running(tmp_path: Path) -> None:
    """As multiprocessing's resource tracker does."""
    code = (
        "import subprocess; c = subprocess.Popen(['sh', '-c', 'read x; sleep 0.05'], stdin=subprocess.PIPE)\n"
        "c.returncode = 0"
    )
    assert not measure_command(python(code, tmp_path)).left_running


def test_it_can_be_stopped_from_another_thread(tmp_path: Path) -> None:
    stop, caught = Stop(), []

    def measured() -> None:
        try:
            measure_command(
                python("import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)", tmp_path), stop
            )
        except CommandError as error:
            caught.append(error.exit)

    thread = threading.Thread(target=measured)
    thread.start()
    until = time.monotonic() + 20
    while not (tmp_path / "pid").exists() and time.monotonic() < until:
        time.sleep(0.02)
    stop.now()
    thread.join(20)
    assert not thread.is_alive() and caught == [-9]


def test_one_that_is_stopped_before_it_starts_does_not_run(tmp_path: Path) -> None:
    stop = Stop()
    stop.now()
    with pytest.raises(CommandError):
        measure_command(python("import time; time.sleep(60)", tmp_path), stop)


def test_memory_is_told_only_where_it_is_not_our_own(tmp_path: Path) -> None:
    ours = psutil.Process().memory_info().rss
    small, large = (
        measure_command(python(f"b = bytearray({size}); b[::4096] = b[::4096].replace(b'a', b'b')", tmp_path))
        for size in (1, ours + 300_000_000)
    )
    assert small.rss_bytes is None
    assert large.rss_bytes is not None and large.rss_bytes > ours + 300_000_000


def test_the_environment_of_a_side_reaches_it_beside_our_own(tmp_path: Path) -> None:
    code = "import os; print(os.environ['SIDE'], 'PATH' in os.environ)"
    run = measure_command(python(code, tmp_path, environment={"SIDE": "b"}))
    assert run.check == hashlib.sha256(b"b True\n").hexdigest()[:16]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the kernel can't pin")
def test_it_runs_on_the_core_it_is_given(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    code = f"import os, time\nwhile os.sched_getaffinity(0) != {{{core}}}: time.sleep(0.01)"
    assert measure_command(python(code, tmp_path, core=core, timeout_s=20.0)).cpu_ms > 0


@pytest.mark.parametrize("text", ["", "   ", "python 'open"])
def test_a_command_that_can_not_be_split_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        words(text)


@given(st.text(max_size=60))
@settings(deadline=None)
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        assert words(text)
    except UsageError as error:
        assert error.exit_code == 2


@given(st.dictionaries(st.sampled_from(["wall", "cpu", "rows"]), st.floats(0, 1e6), min_size=3, max_size=3))
@settings(deadline=None, max_examples=8)
def test_figures_come_back_as_they_were_printed(told: dict[str, float]) -> None:
    launch = python(f"print({json.dumps(told)!r})", Path.cwd(), own_figures=True)
    assert dict(measure_command(launch).own) == pytest.approx(
        {"wall": told["wall"] * 1e3, "cpu": told["cpu"] * 1e3, "rows": told["rows"]}
    )
