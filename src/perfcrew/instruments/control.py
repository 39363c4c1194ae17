"""Asks the probe through its control socket: one JSON line out, one JSON line back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfcrew.core.errors import ToolFailed
from perfcrew.instruments.probe_records import hellos

TIMEOUT_S = 30.0
ELSEWHERE = "perfcrew-control-"
"""How a folder of the probe's is called that holds a socket, where the name below its own would be too long."""
_LINE_BYTES = 16 * 1024 * 1024


def sockets(probe_dir: Path) -> list[str]:
    """The control sockets that the target's processes named."""
    return [hello.control for hello in hellos(probe_dir) if hello.control and Path(hello.control).exists()]


def remove(probe_dir: Path) -> None:
    """Remove the sockets of a target that has ended: one that a signal ended takes none of them away itself.

    Their names come from the target's process, so nothing but a socket that lies where the probe puts them is touched.
    """
    for hello in hellos(probe_dir):
        place = Path(hello.control) if hello.control else None
        if place is None or not place.is_socket():
            continue
        elsewhere = place.parent.name.startswith(ELSEWHERE)
        if elsewhere or place.parent.resolve() == probe_dir.resolve():
            place.unlink(missing_ok=True)
        if elsewhere and not any(place.parent.iterdir()):
            place.parent.rmdir()


async def ask(socket: str, do: str) -> dict[str, Any]:
    """What one process answers. ToolFailed where it doesn't, or says that it could not."""
    try:
        answer = await asyncio.wait_for(_line(socket, do), TIMEOUT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ToolFailed(f"the probe did not answer {do!r}: {error or type(error).__name__}", where=socket) from None
    if "error" in answer:
        raise ToolFailed(f"the probe could not {do!r}: {answer['error']}", where=socket)
    return answer


async def ask_all(probe_dir: Path, do: str) -> Sequence[dict[str, Any]]:
    """What each process answers. ToolFailed where none has a socket."""
    found = sockets(probe_dir)
    if not found:
        raise ToolFailed(
            "the probe opened no control socket",
            where=str(probe_dir),
            do="see the target's log; its start command may clear PYTHONPATH",
        )
    return [await ask(socket, do) for socket in found]


async def _line(socket: str, do: str) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(socket, limit=_LINE_BYTES)
    try:
        writer.write(json.dumps({"do": do}).encode() + b"\n")
        await writer.drain()
        content = json.loads(await reader.readline())
    finally:
        writer.close()
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    return content
