"""A page that works, as slowly as the environment says, or fails; nothing but ASGI."""

import json
import os
import time

SLOW, BROKEN, WAIT, RARELY = (float(os.environ.get(name, "0")) for name in ("SLOW", "BROKEN", "WAIT", "RARELY"))
asked = 0
ANSWER = json.dumps({"books": list(range(40))}).encode()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    global asked
    asked += 1
    time.sleep(RARELY if asked % 8 == 0 else 0)
    until = time.thread_time() + 0.004 * (1 + SLOW)
    while time.thread_time() < until:
        pass
    status = 500 if BROKEN and scope["path"] == "/books" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": ANSWER})
