"""Endpoints that ask a Redis in ways that cost; its address has a default where the user's own may be."""

import asyncio
import json
import os

import redis.asyncio
from fastapi import FastAPI

app = FastAPI()
cache = redis.asyncio.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost:6379/1"))


@app.get("/ranking")
async def ranking() -> list[int]:
    if (kept := await cache.get("ranking")) is None:
        await asyncio.sleep(0.03)
        kept = json.dumps(list(range(10)))
        await cache.set("ranking", kept, ex=60)
    found: list[int] = json.loads(kept)
    return found


@app.get("/people/{person_id}")
async def person(person_id: int) -> dict[str, int]:
    names = [f"person:{person_id}:ada{n}@example.org" for n in range(12)]
    found = [await cache.get(name) for name in names]
    for name in names:
        await cache.set(name, "x" * 30)
    return {"id": person_id, "found": sum(one is not None for one in found)}
