"""One endpoint that ends the process, one that does so after a while, three that refuse, and two that work."""

import os
from itertools import count

from fastapi import FastAPI, HTTPException

app = FastAPI()
ASKED = count(1)


@app.get("/crash")
def crash() -> None:
    print("about to fall over", flush=True)
    os._exit(7)


@app.get("/broken")
def broken() -> None:
    raise RuntimeError("the printer is on fire")


@app.get("/gone")
def gone() -> None:
    raise HTTPException(404)


@app.get("/secret")
def secret() -> None:
    raise HTTPException(401)


@app.get("/prints")
def prints() -> dict[str, bool]:
    print("y" * 2_000_000, flush=True)
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
