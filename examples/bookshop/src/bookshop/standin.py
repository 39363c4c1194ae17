"""Stands in for the outside world: an OpenAI-compatible model server and the supplier's API, on one port.

Standard library only, so that it runs as `python -I -S standin.py` away from the application's environment.
Answers depend on the request alone. Latencies are those of a server in the same building.

    python -m bookshop.standin --port 9009
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

REASONS = {200: "OK", 404: "Not Found"}
CARRIERS = ("Parcel Post", "Swift Couriers", "Northern Freight")
OPENINGS = ("A quiet triumph", "An unhurried mystery", "A bright, restless story", "A patient history")
SUBJECTS = (
    "of salt and letters",
    "about the people who stay",
    "set between two tides",
    "of maps and their makers",
)


@dataclass(frozen=True)
class Call:
    path: str
    query: dict[str, str]
    body: dict[str, Any]

    @property
    def last_number(self) -> int:
        return int(self.path.rsplit("/", 1)[1])


@dataclass(frozen=True)
class Route:
    prefix: str
    delay_seconds: float
    answer: Callable[[Call], Any]


def stock_of(book_id: int) -> dict[str, Any]:
    return {"book_id": book_id, "available": book_id * 7 % 40, "sku": f"SKU-{book_id:06d}"}


def stock(call: Call) -> Any:
    if "ids" in call.query:
        return [stock_of(int(number)) for number in call.query["ids"].split(",") if number]
    return stock_of(call.last_number)


def price(call: Call) -> Any:
    return {"book_id": call.last_number, "wholesale_cents": 400 + call.last_number * 37 % 1800}


def quote(call: Call) -> Any:
    days = 1 + call.last_number % 4
    return {"book_id": call.last_number, "carrier": CARRIERS[call.last_number % 3], "days": days}


def contract(call: Call) -> Any:
    digest = zlib.crc32(call.path.encode())
    return {"sku": call.path.rsplit("/", 1)[1], "contract": f"C{digest % 90}", "discount": digest % 30}


def arrivals(_: Call) -> Any:
    return [{"sku": f"SKU-{number:06d}", "copies": 5 + number % 20} for number in range(1, 13)]


def carriers(_: Call) -> Any:
    return [{"name": name, "days": days} for days, name in enumerate(CARRIERS, start=1)]


def surcharges(_: Call) -> Any:
    return {"fuel_percent": 3, "islands_cents": 450}


def closures(_: Call) -> Any:
    return [{"site": "North hall", "weekday": "Sunday"}]


def completion(call: Call) -> Any:
    prompt = " ".join(str(message.get("content", "")) for message in call.body.get("messages", []))
    digest = zlib.crc32(prompt.encode())
    text = f"{OPENINGS[digest % 4]} {SUBJECTS[digest // 4 % 4]}."
    tokens = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
    return {
        "id": f"chatcmpl-{digest:08x}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": call.body.get("model", "blurb-small"),
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": tokens | {"total_tokens": sum(tokens.values())},
    }


ROUTES = (
    Route("/stock", 0.012, stock),
    Route("/prices/", 0.012, price),
    Route("/quotes/", 0.025, quote),
    Route("/contracts/", 0.012, contract),
    Route("/arrivals", 0.035, arrivals),
    Route("/carriers", 0.035, carriers),
    Route("/surcharges", 0.035, surcharges),
    Route("/closures", 0.035, closures),
    Route("/v1/chat/completions", 0.040, completion),
)


async def answer(call: Call) -> tuple[int, Any]:
    for route in ROUTES:
        if call.path.startswith(route.prefix):
            await asyncio.sleep(route.delay_seconds)
            with suppress(ValueError, IndexError):
                return 200, route.answer(call)
    return 404, {"detail": "Not Found"}


async def read_call(reader: asyncio.StreamReader) -> Call | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    start, *lines = head.split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    raw = await reader.readexactly(int(headers.get("content-length") or 0))
    target = urlsplit(start.split(" ")[1])
    query = {name: values[-1] for name, values in parse_qs(target.query).items()}
    return Call(target.path, query, json.loads(raw) if raw else {})


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while call := await read_call(reader):
            status, payload = await answer(call)
            body = json.dumps(payload).encode()
            head = f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
    writer.close()


def exit_when_stdin_ends() -> None:
    """The parent holds the other end of this pipe: however the parent ends, the pipe closes."""
    while os.read(0, 1024):
        pass
    os._exit(0)


async def serve(listener: socket.socket) -> None:
    server = await asyncio.start_server(serve_connection, sock=listener)
    async with server:
        await server.serve_forever()


def listener_from(arguments: argparse.Namespace) -> socket.socket:
    if arguments.fd is not None:
        return socket.socket(fileno=arguments.fd)
    return socket.create_server(("127.0.0.1", arguments.port))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9009)
    parser.add_argument("--fd", type=int, help="a listening socket handed over by the parent process")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if arguments.fd is not None:
        threading.Thread(target=exit_when_stdin_ends, daemon=True).start()
    asyncio.run(serve(listener_from(arguments)))


if __name__ == "__main__":
    main()
