"""One endpoint that ends the process, one that does so after a while, and two that work."""

import os
from itertools import count

from fastapi import FastAPI

app = FastAPI()
ASKED = count(1)


@app.get("/crash")
def crash() -> None:
    print("about to fall over", flush=True)
    os._exit(7)


@app.get("/fine")
def fine() -> dict[str, bool]:
    return {"ok": True}


@app.get("/tires")
def tires() -> dict[str, bool]:
    if next(ASKED) > 4:
        print("too tired to go on", flush=True)
        os._exit(8)
    return {"ok": True}


@app.get("/well")
def well() -> dict[str, bool]:
    return {"ok": True}
