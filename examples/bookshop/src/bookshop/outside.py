"""Where the model server and the supplier are: as configured, or a stand-in started for as long as the shop runs."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bookshop.config import Settings

STANDIN = Path(__file__).with_name("standin.py")


@dataclass(frozen=True)
class Outside:
    blurb_url: str
    supplier_url: str


@contextmanager
def standin() -> Iterator[str]:
    """The URL of a stand-in that ends with this block, or with this process however it ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        descriptor = listener.fileno()
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(STANDIN), "--fd", str(descriptor)],
            stdin=subprocess.PIPE,
            pass_fds=[descriptor],
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.communicate(timeout=5)


@contextmanager
def outside(settings: Settings) -> Iterator[Outside]:
    if settings.blurb_url and settings.supplier_url:
        yield Outside(settings.blurb_url, settings.supplier_url)
        return
    with standin() as url:
        yield Outside(settings.blurb_url or url, settings.supplier_url or url)
