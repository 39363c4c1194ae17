"""A Quart application with a websocket."""

from quart import Quart

app = Quart(__name__)


@app.route("/hello/<name>")
async def hello(name):
    return {"name": name}


@app.route("/plain", methods=["GET", "POST"])
def plain():
    return {}


@app.websocket("/ws")
async def ws():
    pass
