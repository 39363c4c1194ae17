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
client.setex("short", 30, "12345")  # mark: setex
client.set("shorter", b"1234567", px=1500, nx=True)  # mark: set_px
client.set("shorter", "12", keepttl=True)  # mark: set_keepttl
client.expire("greeting", 60)  # mark: expire
client.hset("user:7", mapping={"name": "Ada", "age": 36})  # mark: hset
client.hget("user:7", "name")  # mark: hget
client.hmget("user:7", "name", "mail")  # mark: hmget
client.hgetall("user:7")  # mark: hgetall
client.hgetall("user:8")  # mark: hgetall_miss
client.eval("return redis.call('GET', KEYS[1])", 2, "greeting", "short", "argument")  # mark: eval
client.delete("a", "b")  # mark: delete
client.mset({"x": "1", "y": "22"})  # mark: mset
client.getex("short", ex=90)  # mark: getex
client.llen("list")  # mark: llen
client.ping()  # mark: ping
client.mget([f"key:{n}" for n in range(500)])  # mark: many


async def asynchronous() -> None:
    async with redis.asyncio.Redis(unix_socket_path=path) as client:
        await client.get("greeting")  # mark: async_hit
        async with client.pipeline() as pipe:
            await pipe.set("a", "b").get("nothing").execute()  # mark: async_pipeline


asyncio.run(asynchronous())
