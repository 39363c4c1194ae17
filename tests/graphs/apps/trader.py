"""A page that is slow, and changes that make it faster at the price of something else; nothing but ASGI."""

import os
import time

CHANGE = os.environ.get("CHANGE", "")
BOOKS_MS = 3 if CHANGE else 8
TAGS_MS = 8 if CHANGE == "moves the cost" else 2
HOARD = os.urandom(24 * 1024 * 1024) if CHANGE == "takes memory" else b""
COLD = [CHANGE == "only when warm"]


def work(ms):
    until = time.thread_time() + ms / 1000
    while time.thread_time() < until:
        pass


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/books":
        work(80 if COLD[0] else BOOKS_MS)
        COLD[0] = False
    elif scope["path"] == "/tags":
        work(TAGS_MS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"[]"})
