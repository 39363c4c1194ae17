"""Answers everything with the status that REFUSES names."""

import os

from fastapi import FastAPI, HTTPException

app = FastAPI()


@app.get("/one")
def one() -> None:
    raise HTTPException(int(os.environ["REFUSES"]))


@app.get("/other")
def other() -> None:
    raise HTTPException(int(os.environ["REFUSES"]))
