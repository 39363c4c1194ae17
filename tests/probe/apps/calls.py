"""HTTP calls through each client, against the server whose address is the argument."""

import asyncio
import contextlib
import sys
import urllib.request

import aiohttp
import httpx
import requests
import urllib3

base = sys.argv[1]
chat = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}

httpx.get(base + "/plain?key=secret")  # mark: httpx
requests.get(base + "/plain")  # mark: requests
requests.get(base + "/redirect")  # mark: redirected
urllib3.PoolManager().request("GET", base + "/plain")  # mark: urllib3
urllib.request.urlopen(base + "/plain", timeout=5).read()  # mark: urllib
httpx.post(base + "/v1/chat/completions", json=chat)  # mark: model
requests.post(base + "/v1/messages", json=chat, headers={"anthropic-version": "2023-06-01"})  # mark: anthropic
requests.post(base + "/v1/messages", json=chat)  # mark: inbox
httpx.get(base + "/missing")  # mark: missing
with contextlib.suppress(httpx.ConnectError):
    httpx.get("http://127.0.0.1:1/")  # mark: refused


async def asynchronous() -> None:
    async with httpx.AsyncClient() as client:
        await client.get(base + "/plain")  # mark: httpx_async
        await asyncio.gather(client.get(base + "/plain"), client.get(base + "/plain"))  # mark: gathered
    async with aiohttp.ClientSession() as session, session.get(base + "/plain") as response:  # mark: aiohttp
        await response.read()


asyncio.run(asynchronous())
