"""A web server with one bad habit, named by its first argument; the port is the second. Standard library only."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


class Handler(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        if self.path == "/crash":
            print("about to fall over", flush=True)
            os._exit(7)
        if self.path == "/hang":
            time.sleep(600)
        if self.path == "/print":
            print("x" * 5_000_000, flush=True)
        self.send_response(self.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def serve(port: int) -> None:
    print("ready on", port, flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def silent(port: int) -> None:
    listening = socket.create_server(("127.0.0.1", port))
    kept = []
    while True:
        kept.append(listening.accept())


def chatty(port: int) -> None:
    print("the very first line", flush=True)
    for _ in range(30):
        print("y" * 1_000_000, flush=True)
    print("the very last line", flush=True)
    serve(port)


def group(port: int) -> None:
    subprocess.Popen(SLEEPER, process_group=0)
    serve(port)


def session(port: int) -> None:
    subprocess.Popen(SLEEPER, start_new_session=True)
    serve(port)


def daemon(port: int) -> None:
    """A double fork: its parent is gone, and its session is another."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.execv(SLEEPER[0], SLEEPER)
    os.wait()
    serve(port)


def stubborn(port: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(port)


def child_serves(port: int) -> None:
    """A supervisor whose worker listens, in a session of its own."""
    subprocess.Popen([sys.executable, __file__, "ok", str(port)], start_new_session=True).wait()


def writes(port: int) -> None:
    Path("written-here.txt").write_text("x")
    serve(port)


def needs_variable(port: int) -> None:
    os.environ["SHOP_SETTING"]
    serve(port)


def tells_secret(port: int) -> None:
    print("connecting to", os.environ["SHOP_URL"], "with", os.environ["SHOP_TOKEN"], flush=True)
    sys.exit(4)


def busy(port: int) -> None:
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < .3: pass"], check=True)
    serve(port)


HABITS = {
    "ok": serve,
    "silent": silent,
    "chatty": chatty,
    "group": group,
    "session": session,
    "daemon": daemon,
    "stubborn": stubborn,
    "child": child_serves,
    "writes": writes,
    "variable": needs_variable,
    "secret": tells_secret,
    "busy": busy,
    "other-port": lambda port: serve(port + 1),
    "slow": lambda port: (time.sleep(1), serve(port)),
    "never": lambda port: threading.Event().wait(),
}

if __name__ == "__main__":
    habit, port = sys.argv[1], int(sys.argv[2])
    if habit == "import":
        import shop_of_horrors  # noqa: F401
    if habit.isdigit():
        Handler.status, habit = int(habit), "ok"
    HABITS[habit](port)
