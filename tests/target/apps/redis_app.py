"""Counts its visits in Redis, whose address comes as the first argument says; the second is its own port."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis


def client(how: str) -> redis.Redis:
    if how == "url":
        return redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost:1"))
    if how == "parts":
        password = os.environ.get("REDIS_PASSWORD")
        return redis.Redis(os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"]), password=password)
    if how == "socket":
        return redis.Redis(unix_socket_path=os.environ["REDIS_SOCKET"])
    return redis.Redis(port=int(how))


class Visits(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        count = server.incr("visits")
        at = {k: str(v) for k, v in server.connection_pool.connection_kwargs.items() if k in ("host", "port", "db")}
        body = json.dumps({"visits": count, **at}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = client(sys.argv[1])
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Visits).serve_forever()
