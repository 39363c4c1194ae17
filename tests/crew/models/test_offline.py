"""`--offline` is held at the socket: whatever a library does, nothing of this process goes outside."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from perfcrew.crew import models
from perfcrew.crew.models import offline
from perfcrew.crew.models.settings import look
from perfcrew.testing import ScriptedModel, say

from .asking import PROVIDERS, ask, settings_for

NEAR = (
    "http://127.0.0.1:11434/v1",
    "http://localhost:8000",
    "http://[::1]:8000",
    "http://127.8.9.10",
    "http://0.0.0.0:1",
)
FAR = (
    "https://api.anthropic.com",
    "http://192.168.1.7:11434/v1",
    "http://10.0.0.1",
    "http://169.254.169.254",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://127.0.0.1@example.com/",
    "http://[2001:db8::1]",
    "http://2130706433",
    "not a url",
)


@pytest.mark.parametrize("url", NEAR)
def test_near(url: str) -> None:
    assert offline.near(url)


@pytest.mark.parametrize("url", FAR)
def test_far(url: str) -> None:
    assert not offline.near(url)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_model_outside_is_not_even_made(provider: str) -> None:
    with ScriptedModel([]) as model:
        settings = settings_for(model, provider)  # type: ignore[arg-type]
    choice = settings.chains["deep"][0].model_copy(update={"base_url": "https://model.example"})
    away = settings.model_copy(update={"chains": {"fast": (choice,), "deep": (choice,)}, "offline": True})
    with pytest.raises(models.OfflineRefused):
        models.chat(away, "deep")


async def test_nor_one_that_is_a_fallback() -> None:
    with ScriptedModel([]) as model:
        settings = settings_for(model, "openai", "anthropic")
    first, second = settings.chains["deep"]
    chain = (first.model_copy(update={"base_url": "http://127.0.0.1:9/v1"}), second.model_copy(
        update={"base_url": "https://model.example"}
    ))  # fmt: skip
    away = settings.model_copy(update={"chains": {"fast": chain, "deep": chain}, "offline": True})
    outcome = await ask(model, away)
    assert isinstance(outcome.error, models.OfflineRefused)


# Tries to go outside in every way that a library here might; prints what was refused, and what was not.
OUTSIDE = """
import asyncio, socket, urllib.request
from perfcrew.crew.models import faults, offline
offline.enforce()
ADDRESS = ("203.0.113.7", 443)

def connects(): socket.create_connection(ADDRESS, timeout=3)
def connects_in_six(): socket.socket(socket.AF_INET6).connect(("2001:db8::1", 443))
def sends(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ADDRESS)
def looks_up(): socket.getaddrinfo("model.example", 443)
def looks_up_the_old_way(): socket.gethostbyname("model.example")
def opens(): urllib.request.urlopen("http://203.0.113.7/", timeout=3)

async def opens_with_asyncio(): await asyncio.open_connection(*ADDRESS)
async def opens_with_aiohttp():
    import aiohttp
    async with aiohttp.ClientSession() as session:
        await session.get("http://model.example/")
async def opens_with_httpx():
    import httpx
    async with httpx.AsyncClient() as client:
        await client.get("http://203.0.113.7/")

def told(way, run):
    try:
        run(way)
    except Exception as error:
        print("refused" if faults.of(error).kind == "offline" else f"NOT REFUSED {error!r}", way.__name__)
    else:
        print("NOT REFUSED", way.__name__)

for way in (connects, connects_in_six, sends, looks_up, looks_up_the_old_way, opens):
    told(way, lambda way: way())
for way in (opens_with_asyncio, opens_with_aiohttp, opens_with_httpx):
    told(way, lambda way: asyncio.run(way()))
listening = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listening.getsockname(), timeout=3)
socket.getaddrinfo("localhost", 80)
print("allowed here")
"""


def test_every_way_outside_is_refused_at_the_socket_and_this_machine_is_not() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUTSIDE], capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    assert done[-1] == "allowed here"
    assert [line for line in done[:-1] if not line.startswith("refused ")] == []
    assert len(done) == 10


# The real SDKs, made for an address outside, after `enforce`: what each says, and that a server here is still asked.
ASKS = """
import asyncio, sys, os
from pathlib import Path
from perfcrew.crew import models
from perfcrew.crew.models import faults, offline, providers
from perfcrew.crew.models.settings import look

async def main():
    settings = look(Path("/nowhere")).settings
    offline.enforce()
    assert models.load(Path("/nowhere")).offline
    for choice in settings.chains["deep"]:
        print(choice.provider, (await providers.build(choice, settings).ainvoke("hello")).text)
        away = choice.model_copy(update={"base_url": "http://model.example/v1"})
        try:
            await providers.build(away, settings).ainvoke("hello")
        except Exception as error:
            print(choice.provider, faults.of(error).kind, faults.of(error).again)

asyncio.run(main())
"""


def test_no_sdk_gets_outside_and_none_is_asked_again() -> None:
    with ScriptedModel([say("here", times=3)]) as model:
        environment = {**os.environ, **model.environment(*PROVIDERS), "LANGCHAIN_TRACING": "true"}
        done = subprocess.run(
            [sys.executable, "-c", ASKS], capture_output=True, text=True, timeout=100, check=True, env=environment
        )
    assert done.stdout.splitlines() == [
        line for provider in PROVIDERS for line in (f"{provider} here", f"{provider} offline False")
    ]
    assert "langsmith" not in done.stderr.lower()


# A step of LangChain's, as LangSmith traces it, and the end of the process that waits for what is still to be sent.
TRACED = """
import sys
from perfcrew.crew.models import offline
if "offline" in sys.argv:
    offline.enforce()
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.langchain import wait_for_all_tracers
RunnableLambda(lambda said: said).invoke("a question")
wait_for_all_tracers()
"""


class LangSmith(BaseHTTPRequestHandler):
    """Takes what it is sent."""

    sent: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.sent.append(self.path)
        self._answer()

    do_PATCH = do_POST

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *said: object) -> None:
        pass


def test_langsmith_is_sent_nothing_offline_and_everything_otherwise() -> None:
    """On loopback, where the socket refuses nothing: tracing itself is switched off."""
    LangSmith.sent.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), LangSmith) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{server.server_address[1]}"
        environment = {**os.environ, "LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": where, "LANGSMITH_API_KEY": "k"}
        for words in ("offline", "online"):
            command = [sys.executable, "-c", TRACED, words]
            subprocess.run(command, env=environment, timeout=100, check=True, capture_output=True)
            assert bool(LangSmith.sent) is (words == "online"), words
        server.shutdown()


def test_the_settings_know_of_it() -> None:
    found = look(Path("/nowhere"), True, {"ANTHROPIC_API_KEY": "k"})
    assert found.settings is None
