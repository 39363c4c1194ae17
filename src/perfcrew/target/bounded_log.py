"""What a process prints, kept within bounds: the head in the file as it comes, the tail in memory until the end."""

from __future__ import annotations

import os
import selectors
import threading
from collections import deque
from pathlib import Path
from typing import BinaryIO

CAP_BYTES = 16_000_000
TAIL_BYTES = 1_000_000
_CHUNK_BYTES = 65536


class BoundedLog:
    """Pumps a pipe into a file of at most `cap_bytes`. The middle of what is longer is left out, and said so there."""

    def __init__(self, path: Path, *, cap_bytes: int = CAP_BYTES, tail_bytes: int = TAIL_BYTES) -> None:
        self.path = path
        self.size_bytes = 0
        """All that was printed, kept or not."""
        self._head_bytes = max(0, cap_bytes - tail_bytes - 100)
        self._tail_bytes = tail_bytes
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def pump(self, read: int) -> None:
        """Start to read this descriptor in a thread; it is closed at its end, or by `close`."""
        self._thread = threading.Thread(target=self._run, args=(read,), daemon=True, name=f"log {self.path.name}")
        self._thread.start()

    def tail(self, lines: int = 40) -> str:
        """The last lines printed so far, of the last 64 kB."""
        with self._lock:
            last = b"".join(self._tail)
        cut = last[-_CHUNK_BYTES:]
        if len(cut) < len(last):
            cut = cut[cut.find(b"\n") + 1 :]  # half a line could be half a secret
        return "\n".join(cut.decode(errors="replace").splitlines()[-lines:])

    def settle(self, limit_s: float = 0.5) -> None:
        """Wait until what an ended process printed is read. A child of it that holds the pipe makes that the limit."""
        if self._thread is not None:
            self._thread.join(limit_s)

    def close(self, limit_s: float = 2.0) -> None:
        """Read what is there and finish the file. Call it when the writers have ended."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(limit_s)

    def _run(self, read: int) -> None:
        with open(self.path, "wb", buffering=0) as file, selectors.DefaultSelector() as ready:
            ready.register(read, selectors.EVENT_READ)
            while True:
                if not ready.select(timeout=0.2):
                    if self._end.is_set():
                        break
                    continue
                chunk = os.read(read, _CHUNK_BYTES)
                if not chunk:
                    break
                self._keep(file, chunk)
            os.close(read)
            self._finish(file)

    def _keep(self, file: BinaryIO, chunk: bytes) -> None:
        room = self._head_bytes - self.size_bytes
        if room > 0:
            file.write(chunk[:room])
        with self._lock:
            self.size_bytes += len(chunk)
            self._tail.append(chunk)
            self._tail_size += len(chunk)
            while self._tail_size - len(self._tail[0]) >= self._tail_bytes:
                self._tail_size -= len(self._tail.popleft())

    def _finish(self, file: BinaryIO) -> None:
        if self.size_bytes <= self._head_bytes:
            return
        rest = b"".join(self._tail)[-min(self._tail_bytes, self.size_bytes - self._head_bytes) :]
        missing = self.size_bytes - self._head_bytes - len(rest)
        if missing:
            file.write(f"\n[... {missing} bytes left out ...]\n".encode())
        file.write(rest)
