"""Gets what requests must carry to be let in: given headers and cookies, a login, a script, a recorded session.

Never shows a secret: neither in `repr`, nor in an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http.cookiejar import LoadError, MozillaCookieJar
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp

from perfcrew.core.base import Noun
from perfcrew.core.errors import TargetFailed, ToolFailed, UsageError
from perfcrew.core.project import Auth, LoginRequest, Project
from perfcrew.target.config import FILE, resolved
from perfcrew.target.environment import layered

REQUEST_TIMEOUT_S = 30.0
SCRIPT_TIMEOUT_S = 60.0
CSRF_FIELDS = ("csrfmiddlewaretoken", "csrf_token", "_csrf", "_csrf_token", "authenticity_token", "_token", "csrf")
CSRF_HEADERS = ("X-CSRFToken", "X-CSRF-Token", "X-XSRF-TOKEN")


class Credentials(Noun):
    """What every request carries."""

    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [("headers", sorted(self.headers)), ("cookies", sorted(self.cookies))]

    def over(self, other: Credentials) -> Credentials:
        """Both, with ours where both have one."""
        return Credentials(headers={**other.headers, **self.headers}, cookies={**other.cookies, **self.cookies})


async def credentials(
    project: Project, base_url: str, other: bool = False, told: Mapping[str, str] | None = None
) -> Credentials:
    """The credentials for the running target at `base_url` (`http://127.0.0.1:8000`); `other`: of the other user.

    `told` are the variables by which the target was told of its own data, for the login script.

    What is given in `[auth]` (or `[other_user]`) goes over a login's, that over a script's, that over a session's.
    Raises UsageError where a variable is missing or the login is refused, TargetFailed where the target does not
    answer it, ToolFailed where the script fails.
    """
    table, auth = ("other_user", project.other_user or Auth()) if other else ("auth", project.auth)
    found = Credentials()
    if auth.session_file:
        found = recorded(project.root / auth.session_file)
    if auth.script:
        found = (await _scripted(project, auth, base_url, told or {})).over(found)
    given = Credentials(
        headers={name: resolved(value, f"{FILE} [{table}] headers.{name}") for name, value in auth.headers.items()},
        cookies={name: resolved(value, f"{FILE} [{table}] cookies.{name}") for name, value in auth.cookies.items()},
    )
    if auth.login:
        found = (await _Login(auth.login, base_url, given).run()).over(found)
    return given.over(found)


def recorded(path: Path) -> Credentials:
    """A recorded session: a JSON object with `headers` and/or `cookies`, or cookies in Netscape's format."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the session file can't be read: {error}", where=str(path), do="record it again") from None
    if text.lstrip().startswith("{"):
        return _of_json(text, str(path))
    jar = MozillaCookieJar(path)
    try:
        jar.load(ignore_discard=True, ignore_expires=True)
    except LoadError:
        do = "give JSON with headers and cookies, or a cookie file that begins with `# Netscape HTTP Cookie File`"
        raise UsageError("the session file is neither JSON nor a cookie file", where=str(path), do=do) from None
    return Credentials(cookies={cookie.name: cookie.value or "" for cookie in jar})


def _of_json(text: str, where: str) -> Credentials:
    """JSON with `headers` and `cookies`, each an object of texts; a browser's list of cookies is read as well."""
    do = 'give {"headers": {…}, "cookies": {…}}'
    try:
        content = json.loads(text)
    except ValueError:
        raise UsageError("what it says is not JSON", where=where, do=do) from None
    headers, cookies = (content.get("headers"), content.get("cookies")) if isinstance(content, dict) else (None, None)
    if isinstance(cookies, list):
        cookies = {c["name"]: c["value"] for c in cookies if isinstance(c, dict) and {"name", "value"} <= set(c)}
    for part in (headers, cookies):
        texts = isinstance(part, dict) and all(isinstance(value, str) for value in part.values())
        if part is not None and not texts:
            raise UsageError("headers and cookies must be objects of texts", where=where, do=do)
    if not headers and not cookies:
        raise UsageError("it holds neither headers nor cookies", where=where, do=do)
    return Credentials(headers=headers or {}, cookies=cookies or {})


async def _scripted(project: Project, auth: Auth, base_url: str, told: Mapping[str, str]) -> Credentials:
    """Run the login script in the target's folder, with the base URL as PERFCREW_BASE_URL and for `{base_url}`."""
    words = [word.replace("{base_url}", base_url) for word in auth.script]
    if words[0] in ("python", "python3"):
        words[0] = str(project.python)
    said, complaint, status = await _run(words, project, base_url, told)
    where = shown = list(auth.script)
    if status:
        raise ToolFailed(
            "the login script failed", command=shown, exit=status, tail=complaint[-2000:], do="run it by hand"
        )
    return _of_json(said, f"the output of {' '.join(where)}")


async def _run(words: list[str], project: Project, base_url: str, told: Mapping[str, str]) -> tuple[str, str, int]:
    ours = {"PERFCREW_BASE_URL": base_url, "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {**layered(os.environ, project.environment, told), **ours}
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=project.workdir,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolFailed(
            f"the login script can't be started: {error}", command=project.auth.script, do=f"correct {FILE}"
        ) from None
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), SCRIPT_TIMEOUT_S)
    except TimeoutError:
        raise ToolFailed(
            f"the login script did not end within {SCRIPT_TIMEOUT_S:g} s", command=project.auth.script
        ) from None
    finally:
        _end(process)
    return said.decode(errors="replace"), complaint.decode(errors="replace"), process.returncode or 0


def _end(process: asyncio.subprocess.Process) -> None:
    """End the script's whole group, also what it left running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@dataclass(frozen=True)
class _Page:
    """The login page: the fields that its form hides, and the token in its head."""

    hidden: Mapping[str, str]
    token: str | None
    cookies: Mapping[str, str]


@dataclass(frozen=True)
class _Answer:
    status: int
    text: str
    cookies: Mapping[str, str]


@dataclass(frozen=True)
class _Login:
    request: LoginRequest
    base_url: str
    given: Credentials

    @property
    def _where(self) -> str:
        return f"{self.request.method} {self.request.path}"

    async def run(self) -> Credentials:
        """Ask, and take the token and the cookies of the answer."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            try:
                page = await self._page(session) if self.request.csrf else _Page({}, None, {})
                answer = await self._ask(session, page)
            except (aiohttp.ClientError, TimeoutError) as error:
                what = f"the login was not answered: {type(error).__name__}"
                raise TargetFailed(what, where=self._where, do="see the target's log") from None
        self._check(answer, page)
        headers = {self.request.header: self._header(answer)} if self.request.token_field else {}
        cookies = {**page.cookies, **answer.cookies}
        if not headers and not answer.cookies:
            do = "name the answer's token with token_field, or check the path and the fields"
            raise UsageError("the login's answer carries neither a token nor a cookie", where=self._where, do=do)
        return Credentials(headers=headers, cookies=cookies)

    async def _page(self, session: aiohttp.ClientSession) -> _Page:
        answer = await self._send(session, "GET", {}, {}, {})
        if answer.status >= 400:
            do = "with csrf = true the page is fetched first: check the path"
            raise UsageError(f"the login page answered {answer.status}", where=f"GET {self.request.path}", do=do)
        form = _Form()
        form.feed(answer.text)
        by_cookie = next((v for k, v in answer.cookies.items() if "csrf" in k.lower() or "xsrf" in k.lower()), None)
        by_field = next((form.hidden[name] for name in CSRF_FIELDS if name in form.hidden), None)
        return _Page(form.hidden, by_cookie or form.meta or by_field, answer.cookies)

    async def _ask(self, session: aiohttp.ClientSession, page: _Page) -> _Answer:
        headers = {}
        if page.token:
            origin = "/".join(self.base_url.split("/")[:3])
            headers = {**dict.fromkeys(CSRF_HEADERS, page.token), "Referer": self._url, "Origin": origin}
        body: dict[str, Any] = {}
        if self.request.json_body is not None:
            body = {"json": self._filled(self.request.json_body)}
        elif self.request.form is not None or page.hidden:
            body = {"data": {**page.hidden, **self._filled(self.request.form or {})}}
        return await self._send(session, self.request.method, headers, page.cookies, body)

    @property
    def _url(self) -> str:
        return urljoin(self.base_url.rstrip("/") + "/", self.request.path.lstrip("/"))

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        headers: Mapping[str, str],
        cookies: Mapping[str, str],
        body: Mapping[str, Any],
    ) -> _Answer:
        """One request without following redirects: the cookie comes with the answer that redirects."""
        merged = {**self.given.headers, **headers}
        carried = {**self.given.cookies, **cookies}
        if carried:
            merged["Cookie"] = "; ".join(f"{name}={value}" for name, value in carried.items())
        async with session.request(method, self._url, headers=merged, allow_redirects=False, **body) as response:
            text = await response.text(errors="replace")
            jar: SimpleCookie = response.cookies
            found = {name: morsel.value for name, morsel in jar.items() if morsel.value and morsel["max-age"] != "0"}
            return _Answer(response.status, text, found)

    def _filled(self, value: Any) -> Any:
        """The fields with `env:NAME` put in, however deep they lie."""
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return resolved(value, f"{FILE} [auth.login]") if isinstance(value, str) else value

    def _check(self, answer: _Answer, page: _Page) -> None:
        if answer.status >= 500:
            raise TargetFailed(f"the login answered {answer.status}", where=self._where, do="see the target's log")
        if answer.status >= 400:
            do = "check the fields and their variables; with a form and a session, set csrf = true"
            raise UsageError(f"the login was refused with {answer.status}", where=self._where, do=do)
        form = _Form()
        form.feed(answer.text if answer.status == 200 and self.request.form is not None else "")
        if form.asks_password:
            do = "the page with the password field came back: check the user, the password and the names of the fields"
            raise UsageError("the login was refused", where=self._where, do=do)

    def _header(self, answer: _Answer) -> str:
        """The token, put into the header's form."""
        field = self.request.token_field or ""
        try:
            value: Any = json.loads(answer.text)
            for part in field.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
        except (ValueError, KeyError, TypeError, IndexError):
            do = "correct token_field: a dotted path into the JSON answer, such as data.access_token"
            raise UsageError(f"the login's answer has no {field}", where=self._where, do=do) from None
        if not isinstance(value, str) or not value:
            raise UsageError(f"{field} of the login's answer is no text", where=self._where, do="correct token_field")
        return self.request.header_format.replace("{token}", value)


class _Form(HTMLParser):
    """The hidden fields of a page's forms, its CSRF meta tag, and whether it asks for a password."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}
        self.meta: str | None = None
        self.asks_password = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for each opening tag."""
        given = dict(attrs)
        kind, name = (given.get("type") or "").lower(), given.get("name") or ""
        if tag == "input" and kind == "hidden" and name:
            self.hidden[name] = given.get("value") or ""
        self.asks_password |= tag == "input" and kind == "password"
        if tag == "meta" and name.lower() in ("csrf-token", "csrf_token", "_csrf"):
            self.meta = given.get("content")
