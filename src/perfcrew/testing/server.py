"""The server: real sockets on loopback, in a thread of its own, answering by script."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeAlias

from perfcrew.core.errors import PerfcrewError
from perfcrew.testing import wire
from perfcrew.testing.asked import Asked, Provider, asked
from perfcrew.testing.steps import Step, fail

Given: TypeAlias = "Step | Callable[[Asked], Step]"
_HEADERS = "HTTP/1.1 {status} Scripted\r\ncontent-type: {kind}\r\nconnection: close\r\n{more}\r\n"
_KEYS: dict[Provider, tuple[str, str]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "google_genai": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
}


class ScriptedModel:
    """A model that does what a script says, for tests: deterministic, on loopback, in all three wire protocols.

    `script` is a list of steps, taken one a request; a function of what was asked, for all requests; or a mapping from
    a text to such a list, where a question belongs to the first text that it contains ("" is in every one): so that
    specialists who ask at the same time each have their own. A step may be a function of what was asked. After the
    script's end, and for what belongs to no part of it, status 400 is answered, which is not tried again.

        with ScriptedModel([use(("query", {"sql": "select 1"})), say("done")]) as model:
            settings = models.look(project, environment=model.environment("anthropic")).settings
            …
        assert len(model.requests) == 2
    """

    def __init__(self, script: Sequence[Given] | Mapping[str, Sequence[Given]] | Callable[[Asked], Step]) -> None:
        self._left: dict[str, list[tuple[Given, int | None]]] = {}
        if callable(script):
            self._left[""] = [(script, None)]
        else:
            parts = script if isinstance(script, Mapping) else {"": script}
            self._left = {
                key: [(step, step.times if isinstance(step, Step) else 1) for step in steps]
                for key, steps in parts.items()
            }
        self.requests: list[Asked] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._listening = threading.Event()
        self._port = 0

    def __enter__(self) -> ScriptedModel:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True, name="scripted model")
        self._thread.start()
        if not self._listening.wait(10):
            raise PerfcrewError("the scripted model does not listen", do="look for what the thread printed")

    def stop(self) -> None:
        """Stop listening, and end what hangs."""
        if self._loop and self._ended and self._thread:
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(10)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._port}"

    def base_url(self, provider: Provider) -> str:
        """As the provider's SDK wants it."""
        return f"{self.url}/v1" if provider == "openai" else self.url

    def environment(self, *providers: Provider) -> dict[str, str]:
        """The variables by which perfcrew asks this server: as the first of these providers, the others as fallback."""
        chain = ",".join(f"{provider}:scripted-{provider}" for provider in providers)
        found = {"PERFCREW_MODEL_FAST": chain, "PERFCREW_MODEL_DEEP": chain}
        for provider in providers:
            key, url = _KEYS[provider]
            found |= {key: "key-of-the-scripted-model", url: self.base_url(provider)}
        return found

    @property
    def unused(self) -> int:
        """How many steps were never asked for; one that is for all requests counts as used."""
        return sum(times for steps in self._left.values() for _, times in steps if times is not None)

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._ended.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path, body = await _request(reader)
            found = asked(path, body, time.monotonic())
            if found is None:
                await _write(writer, 404, json.dumps({"error": {"message": f"no {path}"}}).encode())
            else:
                self.requests.append(found)
                await _Answering(found, self._next(found), len(self.requests), writer).done()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone: what it asked for is of no use to anybody
        except asyncio.CancelledError:
            pass  # the server is stopped while this hangs, as its script says
        finally:
            writer.close()

    def _next(self, found: Asked) -> Step:
        for key, steps in self._left.items():
            if key in found.text and steps:
                step, times = steps[0]
                if times == 1:
                    steps.pop(0)
                elif times is not None:
                    steps[0] = (step, times - 1)
                return step if isinstance(step, Step) else step(found)
        return fail(400, text="the script is over, or has nothing for this question")


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, object]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return first.split(" ")[1], json.loads(content or b"{}")


async def _write(writer: asyncio.StreamWriter, status: int, content: bytes, more: str = "") -> None:
    more += f"content-length: {len(content)}\r\n"
    writer.write(_HEADERS.format(status=status, kind="application/json", more=more).encode() + content)
    await writer.drain()


class _Answering:
    """One step, carried out on one connection."""

    def __init__(self, found: Asked, step: Step, number: int, writer: asyncio.StreamWriter) -> None:
        self._asked, self._step, self._number, self._writer = found, step, number, writer

    async def done(self) -> None:
        step = self._step
        if step.delay_s:
            await asyncio.sleep(step.delay_s)
        if step.do == "reset":
            self._reset()
        elif step.do == "fail" and not (step.midway and self._asked.streamed):
            await self._fail()
        elif step.do != "hang":
            await (self._stream() if self._asked.streamed else self._whole())

    def _reset(self) -> None:
        """Closed with nothing lingering, a socket is reset."""
        held = self._writer.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _fail(self) -> None:
        step = self._step
        told = {
            "retry-after": step.retry_after_date or (f"{step.retry_after:g}" if step.retry_after is not None else None),
            "retry-after-ms": f"{step.retry_after_ms:g}" if step.retry_after_ms is not None else None,
        }
        more = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
        body = json.dumps(wire.error_body(self._asked.provider, step)).encode()
        await _write(self._writer, step.status, body, more)

    async def _whole(self) -> None:
        body = json.dumps(wire.whole(self._asked, wire.reply(self._step, self._asked), self._number)).encode()
        if self._step.do == "malformed":
            body = b"<html><body>502 Bad Gateway</body></html>"
        elif self._step.do == "misshapen":
            body = b'{"unexpected": [1, 2]}'
        elif self._step.do == "truncated":
            body = body[: len(body) // 2]
        elif self._step.do in ("cut", "fail"):
            promised = f"content-length: {len(body)}\r\n"
            head = _HEADERS.format(status=200, kind="application/json", more=promised).encode()
            self._writer.write(head + body[: len(body) // 2])
            return
        await _write(self._writer, 200, body)

    async def _stream(self) -> None:
        step, provider = self._step, self._asked.provider
        more = "transfer-encoding: chunked\r\n"
        self._writer.write(_HEADERS.format(status=200, kind="text/event-stream", more=more).encode())
        made = wire.events(self._asked, wire.reply(step, self._asked), self._number)
        half = max(1, len(made) // 2)
        if step.do == "malformed":
            made = [made[0], b'data: {"oops\n\n']
        elif step.do == "misshapen":
            made = [b'event: message_start\ndata: {"type": "message_start", "choices": 3, "candidates": "x"}\n\n']
        elif step.do == "truncated":
            made = [*made[:half], made[half][: len(made[half]) // 2] + b"\n\n"]
        elif step.do == "fail":
            made = [*made[:half], wire.error_event(provider, step)]
        elif step.do == "cut":
            made = made[:half]
        for event in made:
            self._writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            await self._writer.drain()
        if step.do != "cut" or step.midway:
            self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
