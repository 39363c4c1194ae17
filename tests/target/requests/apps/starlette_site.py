"""A Starlette application with Flask mounted below it."""

from a2wsgi_stand_in import WSGIMiddleware
from flask_shop import app as shop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute


async def home(request: Request) -> Response:
    return JSONResponse({})


def item(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["item_id"]})


async def socket(websocket) -> None:
    pass


app = Starlette(
    routes=[
        Route("/", home),
        Route("/items/{item_id:int}", item, methods=["GET", "DELETE"]),
        Route("/files/{name:path}", home),
        WebSocketRoute("/ws", socket),
        Mount("/shop", app=WSGIMiddleware(shop)),
    ]
)
