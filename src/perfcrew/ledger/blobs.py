"""Large content, kept as files named by their SHA-256; written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from perfcrew.core.errors import LedgerError


class Blobs:
    """A folder of immutable files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        """Keep the content; returns its hash. A file that is there already is left alone."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(path, content)
        return digest

    def get(self, digest: str) -> bytes:
        """The content of that hash. LedgerError where it is missing or was altered."""
        try:
            content = self._path(digest).read_bytes()
        except OSError:
            raise LedgerError(f"no blob {digest}", where=str(self._folder), do="measure again") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise LedgerError(f"blob {digest} was altered", where=str(self._path(digest)), do="measure again")
        return content

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest[2:]

    def _write(self, path: Path, content: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
