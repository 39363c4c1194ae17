"""Prints megabytes for each request."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/print")
def prints() -> dict[str, bool]:
    print("y" * 2_000_000, flush=True)
    return {"ok": True}
