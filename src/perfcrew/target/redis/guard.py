"""What keeps every process of the target away from a Redis that is not its own, and tells what was refused.

It stands in for no redirection: it is the last line where an address came from where nobody could see it. It is blind
to programs that are no Python (`redis-cli`, a client in Rust), to a Python without our path (`-I`, `-E`, tox), and to
servers that began to listen after the start: those a suite may bring itself.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from perfcrew.core.errors import TargetFailed
from perfcrew.target import process
from perfcrew.target.redis.address import PORT, answers, endpoints, where
from perfcrew.target.redis.server import Server

BOOT = Path(__file__).parent / "boot"
VARIABLE = "PERFCREW_REDIS_GUARD"
DO = (
    "set `redis_variable` under [target] in perfcrew.toml to the variable that its Redis URL comes from, "
    "or `shared_redis = true` to let the review use, and write to, this Redis"
)


@dataclass(frozen=True)
class Refused:
    """A connection that a process of the target asked for; `at` is its line, empty where that is not known."""

    url: str
    at: str


@dataclass(frozen=True)
class Guard:
    """One for each start. `environment` goes to every process; `out` receives a line for each refused address."""

    environment: Mapping[str, str]
    out: Path

    def refused(self) -> list[Refused]:
        """What was refused so far."""
        try:
            lines = self.out.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [Refused(_url(told["address"]), told["at"]) for told in map(json.loads, lines)]

    def refuse(self, failed: TargetFailed | None = None) -> None:
        """Raise TargetFailed where a process asked for a Redis that is not its own, and one answers there.

        `failed` is what came of it, where that is known.
        """
        for one in self.refused():
            if answers(one.url):
                raise TargetFailed(
                    "the target would use a Redis that is not its own; the connection was refused",
                    command=failed.command if failed else (),
                    exit=failed.exit if failed else None,
                    tail=failed.tail if failed else "",
                    where=f"{one.url}{f'; asked for in {one.at}' if one.at else ''}",
                    do=DO,
                ) from failed

    def clear(self) -> None:
        """Remove what was written down."""
        self.out.unlink(missing_ok=True)


def guard(workspace: Path, *, own: Server | None = None, foreign: Iterable[str] = (), uses: bool = False) -> Guard:
    """One that lets through to `own` alone. `foreign`: URLs of the user's; `uses`: whether Redis is used for certain.

    Ports that somebody listens on now are not the target's to talk to by a client of Redis; later ones may be.
    """
    out = workspace.resolve() / f"redis-{secrets.token_hex(4)}.refused"
    known = {at for url in foreign for at in ((where(url).host, where(url).port), *endpoints(url)) if not _path(url)}
    here = _addresses()
    told = {
        "out": str(out),
        "do": DO,
        "began": time.time(),
        "uses": uses,
        "port": own.port if own else 0,
        "socket": str(own.socket) if own else "",
        "here": sorted(here),
        "foreign": sorted(map(list, known)),
        "ports": sorted({port for host, port in known if host in here or host == "localhost"}),
        "sockets": sorted({os.path.realpath(path) for url in foreign if (path := _path(url))}),
        "taken": sorted(process.listened()),
    }
    return Guard({"PYTHONPATH": str(BOOT), VARIABLE: json.dumps(told)}, out)


def _path(url: str) -> str:
    return where(url).path


def _addresses() -> set[str]:
    """This machine's own."""
    return {one.address.partition("%")[0] for found in psutil.net_if_addrs().values() for one in found}


def _url(address: str | list[object]) -> str:
    if isinstance(address, str):
        return f"unix://{address}"
    host, port = address
    return f"redis://[{host}]:{port}" if ":" in str(host) else f"redis://{host}:{port or PORT}"
