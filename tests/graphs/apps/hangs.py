"""One endpoint that stops the whole process, one that waits for ever after a while, and two that work."""

import time
from itertools import count

from fastapi import FastAPI

app = FastAPI()
ASKED = count(1)


@app.get("/fine")
def fine() -> dict[str, bool]:
    return {"ok": True}


@app.get("/hang")
async def hang() -> None:
    time.sleep(3600)


@app.get("/stalls")
def stalls() -> dict[str, bool]:
    if next(ASKED) > 4:
        time.sleep(3600)
    return {"ok": True}


@app.get("/well")
def well() -> dict[str, bool]:
    return {"ok": True}
