"""More slow endpoints than there is time for."""

import time

from fastapi import FastAPI

app = FastAPI()


def wait() -> dict[str, bool]:
    time.sleep(0.06)
    return {"ok": True}


for number in range(8):
    app.get(f"/slow-{number}")(wait)
