"""An ASGI application whose only page does ROUNDS rounds of work, and EXTRA more."""

import os

from rounds import work

ROUNDS = int(os.environ["ROUNDS"]) + int(os.environ.get("EXTRA", "0"))


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    work(ROUNDS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"done": true}'})
