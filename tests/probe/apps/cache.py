"""Round trips to the Redis server whose unix socket is the argument."""

import asyncio
import sys

import redis
import redis.asyncio

path = sys.argv[1]
client = redis.Redis(unix_socket_path=path)
client.set("greeting", "hello")  # mark: set
client.get("greeting")  # mark: hit
client.get("nothing")  # mark: miss
client.mget("greeting", "nothing")  # mark: half
with client.pipeline() as pipe:
    pipe.get("greeting")
    pipe.get("greeting")
    pipe.execute()  # mark: pipeline


async def asynchronous() -> None:
    async with redis.asyncio.Redis(unix_socket_path=path) as client:
        await client.get("greeting")  # mark: async_hit
        async with client.pipeline() as pipe:
            await pipe.set("a", "b").get("nothing").execute()  # mark: async_pipeline


asyncio.run(asynchronous())
