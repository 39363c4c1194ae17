"""py-spy: where the processor time of one endpoint goes, sampled from outside while the endpoint is asked.

Only working threads are sampled: waiting is not processor time, and the event loop's watchdog sees what blocks it.
py-spy is attached by process id, never put in front of the start command (it left workers behind), and ended by us.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from perfcrew.core.errors import ToolFailed, Unmeasurable
from perfcrew.core.evidence import CpuProfile
from perfcrew.core.web import Plan
from perfcrew.instruments.baseline import Started
from perfcrew.instruments.cpu_clock import threads_cpu_s
from perfcrew.instruments.load import Aim, Driver, closed_loop
from perfcrew.instruments.manifests import program
from perfcrew.instruments.stacks import Stack, by_function, by_line, collapsed, parse, speedscope, working

RATE = 200
FEWEST = 3
MOST_WORKERS = 4
_ATTACH_S, _END_S = 15.0, 15.0
_SAFETY_S = 120
"""py-spy ends by itself after that long beyond the run, should perfcrew be killed."""
INSTALL = "pip install py-spy into perfcrew's environment"
_PERMIT = (
    "let py-spy read the target's memory: `sysctl kernel.yama.ptrace_scope=0`, or the capability SYS_PTRACE "
    "(docker run --cap-add SYS_PTRACE), or run perfcrew as root; without it there is no profile"
)


@dataclass(frozen=True)
class Profiled:
    """The profile, and the files `speedscope` (JSON, working threads) and `raw` (collapsed stacks as sampled)."""

    body: CpuProfile
    blobs: dict[str, bytes]


async def profile(
    running: Started,
    plan: Plan,
    aim: Aim,
    root: Path,
    *,
    seconds: float = 0.8,
    rate: int = RATE,
    driver: Driver | None = None,
) -> Profiled:
    """Ask the endpoint in a closed loop of one for `seconds` and sample the worker processes meanwhile.

    Raises ToolMissing or ToolFailed (no permission to attach: what to do is in it), and Unmeasurable where the target
    has no Python process or the endpoint answers errors alone. Only with uninstrumented instances.
    """
    pids = [p.pid for p in workers(running.processes(), int(running.base_url.rpartition(":")[2]))][:MOST_WORKERS]
    if not pids:
        raise Unmeasurable("the target has no Python process to sample", do="profile it in its own runtime")
    with tempfile.TemporaryDirectory(prefix="perfcrew-spy-") as folder:
        async with _spying(pids, rate, seconds, Path(folder)) as spies:
            began = time.monotonic()
            result = await closed_loop(
                aim, plan.requests, duration_s=seconds, minimum=FEWEST, expected=plan.fingerprints, driver=driver
            )
            elapsed_s = time.monotonic() - began
            sampled = [await _ended(spy) for spy in spies]
            stacks = [s for spy, own in zip(spies, sampled, strict=True) for s in working(own, _spent_s(spy), rate)]
    if not result.samples_ms:
        raise Unmeasurable(f"{plan.endpoint.key}: no answer was as expected while it was profiled")
    raw = collapsed(stack for own in sampled for stack in own).encode()
    blobs = {"speedscope": speedscope(stacks, plan.endpoint.key, rate), "raw": raw}
    return Profiled(_body(stacks, root, rate * elapsed_s, result.samples_ms), blobs)


def _body(stacks: Sequence[Stack], root: Path, possible: float, samples_ms: Sequence[float]) -> CpuProfile:
    count = sum(s.count for s in stacks)
    return CpuProfile(
        samples_count=round(count),
        idle_share=max(0.0, 1 - count / possible),
        requests_count=len(samples_ms),
        request_ms=median(samples_ms),
        lines=by_line(stacks, root) if stacks else (),
        functions=by_function(stacks, root) if stacks else (),
    )


def workers(processes: Sequence[psutil.Process], port: int) -> list[psutil.Process]:
    """The Python processes that serve the port: supervisors and reloaders only wait, other children serve others.

    Where none is seen to listen (a proxy in front, or the kernel doesn't tell), all that have no Python child.
    """
    pythons = {p.pid: p for p in processes if _is_python(p)}
    serving = {pid: p for pid, p in pythons.items() if _listens(p, port)} or pythons
    parents = {_parent(p) for p in serving.values()}
    return [p for pid, p in serving.items() if pid not in parents]


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        found = process.net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in found)


def _is_python(process: psutil.Process) -> bool:
    try:
        if any("multiprocessing.resource_tracker" in word for word in process.cmdline()):
            return False
        return "python" in Path(process.exe()).name.lower()
    except psutil.Error:
        return False


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


@dataclass
class _Spy:
    process: asyncio.subprocess.Process
    command: tuple[str, ...]
    output: Path
    pid: int
    before_s: dict[int, float]
    said: str = ""


@asynccontextmanager
async def _spying(pids: Sequence[int], rate: int, seconds: float, folder: Path) -> AsyncIterator[list[_Spy]]:
    """py-spy attached to each process; all ended with the block, whatever happens."""
    spies: list[_Spy] = []
    try:
        for pid in pids:
            spy = await _started(pid, rate, seconds, folder)
            spies.append(spy)
            await _attached(spy)
        yield spies
    finally:
        for spy in spies:
            if spy.process.returncode is None:
                spy.process.kill()
            await spy.process.wait()


async def _started(pid: int, rate: int, seconds: float, folder: Path) -> _Spy:
    output = folder / f"{pid}.txt"
    command = (
        *(program("py-spy", INSTALL), "record", "--pid", str(pid), "--rate", str(rate), "--format", "raw"),
        *("--threads", "--full-filenames", "--duration", str(round(seconds) + _SAFETY_S), "--output", str(output)),
    )
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C is ours to pass on, after the samples were asked for
    )
    return _Spy(process, command, output, pid, threads_cpu_s(pid))


async def _attached(spy: _Spy) -> None:
    """Wait until it says that it samples."""
    assert spy.process.stdout is not None
    try:
        async with asyncio.timeout(_ATTACH_S):
            while "Sampling process" not in spy.said:
                chunk = await spy.process.stdout.read(4096)
                if not chunk:
                    await spy.process.wait()
                    raise _failed(spy, "py-spy could not attach to the target")
                spy.said += chunk.decode(errors="replace")
    except TimeoutError:
        raise _failed(spy, f"py-spy did not attach within {_ATTACH_S:.0f} s") from None


def _spent_s(spy: _Spy) -> dict[int, float]:
    return {t: s - spy.before_s.get(t, 0.0) for t, s in threads_cpu_s(spy.pid).items()}


async def _ended(spy: _Spy) -> list[Stack]:
    """Interrupt it, as a user would, upon which it writes what it has."""
    if spy.process.returncode is None:
        spy.process.send_signal(signal.SIGINT)
    assert spy.process.stdout is not None
    try:
        async with asyncio.timeout(_END_S):
            spy.said += (await spy.process.stdout.read()).decode(errors="replace")
            await spy.process.wait()
    except TimeoutError:
        raise _failed(spy, f"py-spy did not end within {_END_S:.0f} s") from None
    if not spy.output.is_file():
        if "No stack counts found" in spy.said or spy.process.returncode == 0:
            return []  # the process had nothing to do: that is what we were asked
        raise _failed(spy, "py-spy wrote no profile")
    return parse(spy.output.read_text(errors="replace"))


def _failed(spy: _Spy, what: str) -> ToolFailed:
    refused = any(word in spy.said.lower() for word in ("permission denied", "operation not permitted", "ptrace"))
    do = _PERMIT if refused else "see its output; the review goes on without a profile"
    tail = "\n".join(spy.said.splitlines()[-8:])
    return ToolFailed(what, command=spy.command, exit=spy.process.returncode, tail=tail, do=do)
