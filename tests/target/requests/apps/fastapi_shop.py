"""A shop with what makes routes and requests hard: included routers, sub-applications, nested and odd parameters."""

import functools
import uuid
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Query, WebSocket
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

print("noise on standard output" * 10)

AUTHORS = {3: "Ada", 8: "Bob"}
BOOKS = [
    {"id": n, "author_id": 3 if n % 2 else 8, "title": f"Lighthouse {n}", "isbn": f"978-{n:04}", "slug": f"book-{n}"}
    for n in range(11, 31)
]
ORDERS = [{"uuid": str(uuid.UUID(int=n)), "book": {"id": 11, "isbn": "978-0011"}, "total": n} for n in range(1, 4)]


class Kind(StrEnum):
    new = "new"
    used = "used"


class Basket(BaseModel):
    book_ids: list[int]
    note: str = "please"


def found(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    for row in rows:
        if all(row[name] == value for name, value in wanted.items()):
            return row
    raise HTTPException(404)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


books = APIRouter(prefix="/books")
authors = APIRouter(prefix="/authors")


@books.get("")
async def list_books(limit: Annotated[int, Query(ge=1, le=50)] = 10, offset: int = 0) -> dict[str, Any]:
    return {"results": BOOKS[offset : offset + limit], "count": len(BOOKS)}


@books.get("/{book_id}")
@logged
async def read_book(book_id: int) -> Any:
    return found(BOOKS, id=book_id)


@books.get("/by-isbn/{isbn}")
def read_by_isbn(isbn: str) -> Any:
    return found(BOOKS, isbn=isbn)


@books.delete("/{book_id}")
async def delete_book(book_id: int) -> None:
    raise RuntimeError("this must never be asked")


@books.post("/basket")
async def basket(basket: Basket) -> Any:
    return {"books": len(basket.book_ids), "note": basket.note}


@authors.get("")
async def list_authors() -> Any:
    return [{"id": key, "name": name} for key, name in AUTHORS.items()]


@authors.get("/{author_id}/books")
async def list_books_of_author(author_id: int) -> Any:
    return [{"id": b["id"]} for b in BOOKS if b["author_id"] == author_id]


@authors.get("/{author_id}/books/{book_id}")
async def read_book_of_author(author_id: int, book_id: int) -> Any:
    return found(BOOKS, id=book_id, author_id=author_id)


api = APIRouter()
api.include_router(books)
api.include_router(authors, prefix="/v1")

app = FastAPI()
app.include_router(api, prefix="/api")
app.mount("/static", StaticFiles(directory=str(Path(__file__).parent)))


@app.get("/orders")
async def list_orders() -> Any:
    return ORDERS


@app.get("/orders/{order_id}")
async def read_order(order_id: uuid.UUID) -> Any:
    return found(ORDERS, uuid=str(order_id))


@app.get("/search")
async def search(q: Annotated[str, Query(min_length=3)], kind: Kind, since: date) -> Any:
    rows = [b for b in BOOKS if q in b["title"].lower()]
    if not rows:
        raise HTTPException(404)
    return {"q": q, "kind": kind, "since": since, "hits": rows}


@app.get("/rated/{stars}")
async def rated(stars: Annotated[int, InPath(gt=3, lt=6)]) -> Any:
    return {"stars": stars}


@app.get("/codes/{code}")
async def code(code: Annotated[str, InPath(pattern="^[A-Z]{2}-[0-9]{3}$")]) -> Any:
    return {"code": code}


@app.get("/countries/{country}")
async def country(country: Annotated[str, InPath(examples=["CH"])]) -> Any:
    if country != "CH":
        raise HTTPException(404)
    return {"country": country}


@app.get("/files/{file_path:path}")
async def read_file(file_path: str) -> Any:
    if file_path != "a/b.txt":
        raise HTTPException(404)
    return {"file": file_path}


@app.get("/pages", response_class=HTMLResponse)
async def pages() -> str:
    links = "".join(f'<a href="/pages/{b["slug"]}">x</a>' for b in BOOKS[:3])
    return links + '<a href="/pages/logout">x</a><a href="https://example.com/pages/other">x</a><a href="http://[bad">'


@app.get("/pages/{name}", response_class=HTMLResponse)
async def page(name: str) -> str:
    found(BOOKS, slug=name)
    return "page"


@app.get("/gone/{thing_id}")
async def gone(thing_id: int) -> Any:
    raise HTTPException(404)


@app.get("/private")
async def private() -> Any:
    raise HTTPException(401)


@app.get("/dashboard")
async def dashboard() -> Response:
    return RedirectResponse("/accounts/login/?next=/dashboard", 302)


@app.get("/newest")
async def newest() -> Response:
    return RedirectResponse("/api/books/30", 307)


@app.get("/broken")
async def broken() -> Any:
    raise RuntimeError("secret detail")


@app.get("/logout")
async def logout() -> Any:
    raise RuntimeError("this must never be asked")


@app.get("/ticker")
async def ticker() -> Response:
    async def forever() -> Any:
        import asyncio

        while True:
            yield "data: 1\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(forever(), media_type="text/event-stream")


@app.get("/hidden", include_in_schema=False)
async def hidden() -> Any:
    return {}


@app.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()


class Status(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return JSONResponse({"up": True})

    def post(self, request: Request) -> Response:
        return JSONResponse({})


sub = FastAPI()


@sub.get("/tags")
def list_tags() -> Any:
    return {"tags": ["red", "blue"]}


@sub.get("/tags/{tag}")
def read_tag(tag: str) -> Any:
    if tag not in ("red", "blue"):
        raise HTTPException(404)
    return {"tag": tag}


app.mount("/sub", CORSMiddleware(sub, allow_origins=["*"]))
app.router.routes.append(Mount("/plain", routes=[Route("/status", Status), Mount("/deep", routes=[])]))

without_documents = FastAPI(openapi_url=None)
without_documents.include_router(api)

elsewhere = FastAPI(openapi_url="/spec/v7.json")
elsewhere.include_router(api)


def create_app(name: str = "shop") -> FastAPI:
    made = FastAPI(title=name)
    made.include_router(api)
    return made
