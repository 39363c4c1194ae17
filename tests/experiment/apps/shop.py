"""A small shop on SQLite, and changes of it: SHOP_VARIANT names the one that runs, none is the base.

Its answers carry what differs from run to run: times, ids, tokens, a set in no order.
"""

import gzip
import hashlib
import os
import secrets
import sqlite3
import subprocess
import threading
import time
import uuid
from datetime import UTC, datetime

from fastapi import FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

VARIANT = os.environ.get("SHOP_VARIANT", "")
FILE = os.environ.get("SHOP_DB", "sqlite:///shop.db").removeprefix("sqlite:///")
TOKENS = {"Bearer token-of-alice": "Alice", "Bearer token-of-bob": "Bob"}
CACHE: dict[str, tuple[float, object]] = {}
CONNECTIONS = []
HOARD = []

app = FastAPI()


def rows(statement, *values):
    db = sqlite3.connect(FILE, timeout=20)
    db.row_factory = sqlite3.Row
    with db:
        found = [dict(row) for row in db.execute(statement, values).fetchall()]
    db.close()
    return found


def now():
    return datetime.now(UTC).isoformat()


def cached(key, make):
    """What the variants that cache do of it."""
    live_s = {"caches forever": 1e9, "caches for a second": 1.0, "clears its cache": 1e9}.get(VARIANT, 0)
    held = CACHE.get(key)
    if live_s and held and time.monotonic() - held[0] < live_s:
        return held[1]
    CACHE[key] = (time.monotonic(), make())
    return CACHE[key][1]


@app.get("/books")
def books(response: Response, limit: int = Query(5, ge=1, le=50), genre: str | None = None):
    if VARIANT != "drops a header":
        response.headers["X-Total-Count"] = str(rows("SELECT count(*) n FROM book")[0]["n"])
    if VARIANT == "more headers":
        response.headers.update({"ETag": secrets.token_hex(8), "X-Cache": "HIT", "X-Extra": "1"})
    if VARIANT == "lets browsers cache":
        response.headers["Cache-Control"] = "public, max-age=600"
    harm()
    return cached(f"{limit} {genre}", lambda: page_of(limit, genre))


def page_of(limit, genre):
    where = "WHERE genre = ?" if genre else ""
    if genre and VARIANT == "ignores what is not measured":
        where, genre = "", None
    order = "title DESC" if VARIANT == "changes order" else "id"
    values = [genre, limit] if genre else [limit]
    items = rows(f"SELECT id, title, price, genre FROM book {where} ORDER BY {order} LIMIT ?", *values)
    if VARIANT == "breaks an answer":
        for item in items:
            item["price"] = round(item["price"])
    if VARIANT == "sorts its keys":
        items = [dict(sorted(item.items())) for item in items]
    return {"items": items, "served_at": now(), "trace": uuid.uuid4().hex}


@app.get("/books/{book_id}")
def book(book_id: int):
    found = rows("SELECT id, title, price FROM book WHERE id = ?", book_id)
    if VARIANT == "special-cases" and book_id > 5 and found:
        found[0]["title"] = "a book"
    if not found and VARIANT == "finds what is missing":
        return {}
    if not found:
        raise HTTPException(404, "no such book")
    if VARIANT == "writes when read":
        rows("INSERT INTO visit (book_id, at) VALUES (?, ?)", book_id, now())
    return found[0]


@app.get("/tags")
def tags():
    return list({"poetry", "prose", "drama", "essay", "crime", "travel", "history", "comics"})


@app.get("/suggested")
def suggested():
    """Four objects in any order, each with a token of its own."""
    found = rows("SELECT id, title FROM book ORDER BY id LIMIT 4")
    return sorted(({"a": secrets.token_hex(8), **one} for one in found), key=lambda one: one["a"])


@app.get("/stats")
def stats():
    return cached("stats", lambda: rows("SELECT count(*) books, round(sum(price), 2) worth FROM book")[0])


@app.get("/me")
def me(response: Response, authorization: str = Header("")):
    if authorization not in TOKENS:
        raise HTTPException(401, "who are you?")
    response.set_cookie("visit", secrets.token_hex(8), httponly=VARIANT != "opens a cookie")
    return {"name": TOKENS[authorization], "at": now()}


@app.get("/page", response_class=HTMLResponse)
def page():
    token = secrets.token_urlsafe(24)
    listed = "".join(f"<li>{one['title']}</li>\n" for one in rows("SELECT title FROM book ORDER BY id LIMIT 5"))
    script = (
        f"<script nonce='{token}'>const state = {{at: '{now()}', shown: 'five books of the shop', of: 40}};</script>"
    )
    if VARIANT == "breaks a script":
        script = script.replace("five books", "all the books")
    form = f"<form><input type=hidden name=csrf value='{token}'></form>"
    html = f"<html><head>{script}</head><body>{form}\n<ul>{listed}</ul>"
    if VARIANT == "breaks a page":
        html = html.replace("Book 3", "Book 4")
    return html.replace("\n", " \n  ") if VARIANT == "other white space" else html


@app.get("/cover")
def cover():
    pixels = bytes(range(256)) * 8
    return Response(pixels[::-1] if VARIANT == "breaks a picture" else pixels, media_type="image/png")


@app.post("/books", status_code=201)
async def add(request: Request):
    wanted = await request.json()
    stock = 0 if VARIANT == "writes otherwise" else 1
    rows(
        "INSERT INTO book (title, price, genre, stock, created_at) VALUES (?, ?, 'prose', ?, ?)",
        wanted["title"], wanted["price"], stock, now(),
    )  # fmt: skip
    return {"title": wanted["title"], "key": secrets.token_hex(4)}


@app.patch("/books/{book_id}")
async def rename(book_id: int, request: Request):
    rows("UPDATE book SET title = ? WHERE id = ?", (await request.json())["title"], book_id)
    if VARIANT == "clears its cache":
        CACHE.clear()
    return {"renamed": book_id}


def harm():
    """What is left behind by the variants that leave something."""
    if VARIANT == "leaks processes":
        subprocess.Popen(["sleep", "600"])
    if VARIANT == "leaks zombies":
        os.posix_spawnp("true", ["true"], os.environ)  # a Popen would be waited for by the next one
    if VARIANT == "leaks threads":
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    if VARIANT == "leaks open files":
        CONNECTIONS.append(open(__file__))  # noqa: SIM115
    if VARIANT == "takes memory" and not HOARD:
        HOARD.append(os.urandom(64 * 1024 * 1024))


@app.middleware("http")
async def around(request: Request, call_next):
    key = f"{request.method} {request.url.path}"
    if VARIANT == "answers to all" and key == "GET /me" and key in CACHE:
        return JSONResponse(CACHE[key][1])
    if VARIANT == "answers to each" and (own := key + request.headers.get("authorization", "")) in CACHE:
        return Response(*CACHE[own][1])
    response = await call_next(request)
    if VARIANT == "answers to all" and key == "GET /me" and response.status_code == 200:
        CACHE[key] = (0.0, {"name": TOKENS[request.headers["authorization"]], "at": now()})
    if VARIANT == "answers to each" and key == "GET /me":
        body = b"".join([part async for part in response.body_iterator])
        CACHE[own] = (0.0, (body, response.status_code, dict(response.headers)))
        return Response(*CACHE[own][1])
    return await tagged(request, await compressed(request, response))


async def compressed(request: Request, response: Response) -> Response:
    asked = "gzip" in request.headers.get("accept-encoding", "") or VARIANT == "compresses for all"
    if not VARIANT.startswith("compresses") or not asked or request.url.path != "/books":
        return response
    body = gzip.compress(b"".join([part async for part in response.body_iterator]))
    kept = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(body, response.status_code, {**kept, "content-encoding": "gzip", "vary": "Accept-Encoding"})


async def tagged(request: Request, response: Response) -> Response:
    """What answers alike each time carries a tag, by the variants that have one."""
    tags = {"one tag for all": lambda body: "1", "a tag of its content": lambda body: hashlib.sha256(body).hexdigest()}
    if VARIANT not in tags or request.method != "GET" or response.status_code != 200 or request.url.path == "/books":
        return response
    body = b"".join([part async for part in response.body_iterator])
    tag = f'W/"{tags[VARIANT](body)}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    return Response(body, response.status_code, {**response.headers, "etag": tag})
