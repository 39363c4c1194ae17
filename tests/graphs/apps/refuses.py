"""Answers with the status that REFUSES names, but for /fine where REFUSES_NOT_FINE is not set."""

import os

from fastapi import FastAPI, HTTPException

app = FastAPI()
STATUS = int(os.environ.get("REFUSES", "0"))


@app.get("/broken")
def broken() -> None:
    print("the printer is on fire", flush=True)
    raise HTTPException(STATUS or 500)


@app.get("/gone")
def gone() -> None:
    raise HTTPException(STATUS or 404)


@app.get("/secret")
def secret() -> None:
    raise HTTPException(STATUS or 401)


@app.get("/fine")
def fine() -> dict[str, bool]:
    if STATUS:
        raise HTTPException(STATUS)
    return {"ok": True}
