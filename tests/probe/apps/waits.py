"""A service that answers after a while."""

import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/wait")
async def wait():
    await asyncio.sleep(0.06)
    return {}
