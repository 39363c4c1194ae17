import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from bookshop.outside import standin

SRC = Path(__file__).parents[1] / "src"
HOLDER = """
import sys, time
from bookshop.outside import standin
with standin() as url:
    print(url, flush=True)
    time.sleep(60)
"""


def test_the_same_question_gets_the_same_answer() -> None:
    body = {"model": "blurb-small", "messages": [{"role": "user", "content": "One sentence, please."}]}
    with standin() as url:
        answers = [httpx.post(f"{url}/v1/chat/completions", json=body, timeout=10).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["choices"][0]["message"]["role"] == "assistant"


@pytest.mark.parametrize("path", ["/nothing", "/stock/x", "/stock?ids=1,x"])
def test_what_the_supplier_does_not_know_is_not_found(path: str) -> None:
    with standin() as url:
        assert httpx.get(url + path, timeout=10).status_code == 404


def test_it_ends_with_its_block() -> None:
    with standin() as url:
        assert httpx.get(f"{url}/stock/1", timeout=10).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/stock/1", timeout=10)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_parent(end: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert httpx.get(f"{url}/stock/1", timeout=10).status_code == 200
        parent.send_signal(end)
        parent.wait(10)
        # The stand-in holds the other end of this pipe: reading to its end waits for it to be gone.
        assert parent.stdout.read() == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/stock/1", timeout=10)
