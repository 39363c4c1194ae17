"""Logging in, against real little servers."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from perfcrew.core.errors import PerfcrewError, TargetFailed, ToolFailed, UsageError
from perfcrew.core.project import Auth, LoginRequest, Project
from perfcrew.target.auth import Credentials, credentials

PASSWORD = "correct-horse"
PAGE = """<html><head><meta name="csrf-token" content="meta-token"></head><body>
<form method="post"><input type="hidden" name="csrfmiddlewaretoken" value="field-token">
<input type="hidden" name="next" value="/home"><input name="user"><input type="password" name="password">
</form></body></html>"""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def json_login(request: web.Request) -> web.Response:
    body = await request.json()
    if body != {"user": "demo", "deep": {"password": PASSWORD}}:
        return web.json_response({"detail": f"wrong {body}"}, status=401)
    return web.json_response({"data": {"tokens": [{"access": "t0ken"}]}, "none": None})


async def form_login(request: web.Request) -> web.Response:
    body = await request.post()
    if body.get("password") != PASSWORD:
        return web.Response(text=PAGE, content_type="text/html")
    answer = web.Response(status=302, headers={"Location": "/home"})
    answer.set_cookie("session", "s3ssion", httponly=True, secure=True)
    return answer


async def page(request: web.Request) -> web.Response:
    answer = web.Response(text=PAGE, content_type="text/html")
    answer.set_cookie("csrftoken", "cookie-token")
    return answer


async def django_login(request: web.Request) -> web.Response:
    """As strict as Django: cookie, field, header and Referer must agree."""
    body = await request.post()
    right = request.cookies.get("csrftoken") == "cookie-token" and body.get("csrfmiddlewaretoken") == "field-token"
    right &= request.headers.get("X-CSRFToken") == "cookie-token" and body.get("next") == "/home"
    right &= request.headers.get("Referer", "").startswith(f"http://{request.host}/")
    return await form_login(request) if right else web.Response(status=403, text="CSRF failed")


async def spa_login(request: web.Request) -> web.Response:
    right = request.headers.get("X-XSRF-TOKEN") == "cookie-token" and (await request.json())["password"] == PASSWORD
    answer = web.json_response({}, status=200 if right else 403)
    if right:
        answer.set_cookie("sid", "s3ssion")
    return answer


async def echo(request: web.Request) -> web.Response:
    return web.json_response({"token": request.headers.get("X-Tenant", "")})


async def broken(request: web.Request) -> web.Response:
    return web.Response(status=500, text="stack trace")


async def nothing(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def gone(request: web.Request) -> web.Response:
    answer = web.json_response({})
    answer.del_cookie("session")
    return answer


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    handlers: dict[str, Handler] = {"json": json_login, "form": form_login, "django": django_login, "spa": spa_login}
    handlers |= {"echo": echo, "broken": broken, "nothing": nothing, "gone": gone}
    for name, handler in handlers.items():
        app.router.add_post(f"/{name}", handler)
    app.router.add_get("/django", page)
    app.router.add_get("/spa", page)
    async with TestServer(app, host="127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)


def project(root: Path, auth: Auth) -> Project:
    return Project(
        root=root, name="shop", framework="fastapi", python=Path(sys.executable), workdir=root, start=("x",), auth=auth
    )


SECRET = "env:SHOP_PASSWORD"
JSON_BODY: dict[str, object] = {"user": "demo", "deep": {"password": SECRET}}
LOGINS = [
    (
        "a token of a JSON answer",
        LoginRequest(path="/json", json_body=JSON_BODY, token_field="data.tokens.0.access"),
        Credentials(headers={"Authorization": "Bearer t0ken"}),
    ),
    (
        "a token in a header of its own",
        LoginRequest(
            path="json",
            json_body=JSON_BODY,
            token_field="data.tokens.0.access",
            header="X-Auth",
            header_format="Token {token}",
        ),
        Credentials(headers={"X-Auth": "Token t0ken"}),
    ),
    (
        "a form whose cookie comes with the redirect",
        LoginRequest(path="/form", form={"user": "demo", "password": SECRET}),
        Credentials(cookies={"session": "s3ssion"}),
    ),
    (
        "a form with CSRF",
        LoginRequest(path="/django", form={"user": "demo", "password": SECRET}, csrf=True),
        Credentials(cookies={"csrftoken": "cookie-token", "session": "s3ssion"}),
    ),
    (
        "JSON with a CSRF header",
        LoginRequest(path="/spa", json_body={"password": SECRET}, csrf=True),
        Credentials(cookies={"csrftoken": "cookie-token", "sid": "s3ssion"}),
    ),
]


@pytest.mark.parametrize(("login", "expected"), [one[1:] for one in LOGINS], ids=[one[0] for one in LOGINS])
async def test_login(login: LoginRequest, expected: Credentials, url: str, tmp_path: Path) -> None:
    assert await credentials(project(tmp_path, Auth(login=login)), url) == expected


REFUSED: list[tuple[str, LoginRequest, type[PerfcrewError], str]] = [
    (
        "a wrong password, JSON",
        LoginRequest(path="/json", json_body={"password": "no"}),
        UsageError,
        "refused with 401",
    ),
    (
        "a wrong password, form",
        LoginRequest(path="/form", form={"password": "no"}),
        UsageError,
        "the login was refused",
    ),
    ("no CSRF", LoginRequest(path="/django", form={"password": SECRET}), UsageError, "refused with 403"),
    ("no such path", LoginRequest(path="/nowhere", form={}), UsageError, "refused with 404"),
    ("no such page", LoginRequest(path="/form", form={}, csrf=True), UsageError, "the login page answered 405"),
    ("the target's fault", LoginRequest(path="/broken", form={}), TargetFailed, "answered 500"),
    ("nothing to carry", LoginRequest(path="/nothing", form={}), UsageError, "neither a token nor a cookie"),
    ("a cookie that is taken away", LoginRequest(path="/gone", form={}), UsageError, "neither a token nor a cookie"),
    (
        "no such field",
        LoginRequest(path="/json", json_body=JSON_BODY, token_field="data.token"),
        UsageError,
        "has no data.token",
    ),
    (
        "a field without a text",
        LoginRequest(path="/json", json_body=JSON_BODY, token_field="none"),
        UsageError,
        "is no text",
    ),
    (
        "a variable that is not set",
        LoginRequest(path="/json", json_body={"password": "env:SHOP_NOWHERE"}),
        UsageError,
        "SHOP_NOWHERE is not set",
    ),
]


@pytest.mark.parametrize(("login", "kind", "what"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
async def test_refused(login: LoginRequest, kind: type[PerfcrewError], what: str, url: str, tmp_path: Path) -> None:
    with pytest.raises(kind) as caught:
        await credentials(project(tmp_path, Auth(login=login)), url)
    assert what in str(caught.value)
    assert PASSWORD not in str(caught.value)


async def test_nobody_answers(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port_factory()}"
    with pytest.raises(TargetFailed, match="was not answered"):
        await credentials(project(tmp_path, Auth(login=LoginRequest(path="/", form={}))), url)


async def test_given_headers_go_with_the_login_and_over_it(url: str, tmp_path: Path) -> None:
    auth = Auth(
        headers={"X-Tenant": "env:SHOP_PASSWORD", "authorization-note": "plain"},
        cookies={"lang": "env:SHOP_PASSWORD"},
        login=LoginRequest(path="/echo", token_field="token"),
    )
    found = await credentials(project(tmp_path, auth), url)
    assert found.headers["Authorization"] == f"Bearer {PASSWORD}"
    assert found.headers["X-Tenant"] == PASSWORD
    assert found.cookies == {"lang": PASSWORD}


async def test_the_other_user_has_a_login_of_its_own(url: str, tmp_path: Path) -> None:
    both = project(tmp_path, Auth(headers={"X-Tenant": "one"}))
    other = Auth(headers={"X-Tenant": "two"}, login=LoginRequest(path="/echo", token_field="token"))
    found = await credentials(both.model_copy(update={"other_user": other}), url, other=True)
    assert found.headers == {"X-Tenant": "two", "Authorization": "Bearer two"}
    assert await credentials(both, url, other=True) == Credentials()


async def test_nothing_configured_carries_nothing(tmp_path: Path) -> None:
    assert await credentials(project(tmp_path, Auth()), "http://127.0.0.1:1") == Credentials()


SCRIPT = """
import json, os, sys
print(json.dumps({"headers": {"X-Url": sys.argv[1]}, "cookies": {"c": os.environ["PERFCREW_BASE_URL"]}}))
"""


async def test_login_script(tmp_path: Path) -> None:
    (tmp_path / "login.py").write_text(SCRIPT)
    found = await credentials(project(tmp_path, Auth(script=("python", "login.py", "{base_url}/x"))), "http://h:1")
    assert found == Credentials(headers={"X-Url": "http://h:1/x"}, cookies={"c": "http://h:1"})


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("import sys; print('why', file=sys.stderr); sys.exit(4)", ToolFailed, "why"),
        ("print('no json')", UsageError, "not JSON"),
        ("print('[]')", UsageError, "neither headers nor cookies"),
        ('print(\'{"headers": {"a": 1}}\')', UsageError, "objects of texts"),
    ],
)
async def test_a_login_script_that_fails(text: str, kind: type[PerfcrewError], what: str, tmp_path: Path) -> None:
    (tmp_path / "login.py").write_text(text)
    with pytest.raises(kind) as caught:
        await credentials(project(tmp_path, Auth(script=("python", "login.py"))), "http://h")
    assert what in str(caught.value)


async def test_a_login_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="can't be started"):
        await credentials(project(tmp_path, Auth(script=("./no-such-script",))), "http://h")


NETSCAPE = (
    "# Netscape HTTP Cookie File\n"
    "#HttpOnly_127.0.0.1\tFALSE\t/\tTRUE\t0\tsession\ts3ssion\n"
    "127.0.0.1\tFALSE\t/\tFALSE\t9\told\tx\n"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps({"headers": {"A": "b"}}), Credentials(headers={"A": "b"})),
        (json.dumps({"cookies": {"A": "b"}, "origins": []}), Credentials(cookies={"A": "b"})),
        (json.dumps({"cookies": [{"name": "A", "value": "b", "domain": "d"}]}), Credentials(cookies={"A": "b"})),
        (NETSCAPE, Credentials(cookies={"session": "s3ssion", "old": "x"})),
    ],
)
async def test_recorded_session(text: str, expected: Credentials, tmp_path: Path) -> None:
    (tmp_path / "session").write_text(text)
    assert await credentials(project(tmp_path, Auth(session_file="session")), "http://h") == expected


@pytest.mark.parametrize("text", [None, "", "hello", "{", '{"other": 1}'])
async def test_recorded_session_that_is_none(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "session").write_text(text)
    with pytest.raises(UsageError):
        await credentials(project(tmp_path, Auth(session_file="session")), "http://h")


def test_values_are_never_shown() -> None:
    found = Credentials(headers={"Authorization": "hunter2"}, cookies={"session": "hunter2"})
    for text in (repr(found), str(found), f"{found}", f"{[found]}"):
        assert "hunter2" not in text
        assert "Authorization" in text
