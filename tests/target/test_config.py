"""perfcrew.toml: what it means, and what is said of mistakes in it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from perfcrew import settings
from perfcrew.core.errors import UsageError
from perfcrew.target import config

WHOLE = """
[target]
framework = "fastapi"
start = "uvicorn main:app --port {port}"
prepare = ["alembic upgrade head", ["python", "-m", "shop seed"]]
tests = ["pytest", "-q"]
start_timeout_s = 90
exclude = ["/admin/*"]
[target.environment]
DEBUG = "0"
[auth]
headers = { Authorization = "Bearer env:TOKEN", Accept = "text/html" }
script = "python login.py --quick"
[auth.login]
path = "/login"
form = { user = "demo", password = "env:PASSWORD" }
csrf = true
[[scenarios]]
name = "search"
share = 0.5
requests = [{ path = "/search?q=a" }, { method = "POST", path = "/x", json_body = { a = [1] } }]
[workload]
peak_rps = 12.5
[data]
rows = 10
sizes = [1, 2, 3]
[review]
profile = "web-api"
level = "high"
seconds = 2
base = "main"
[frame]
primary_metric = "startup"
context = '''
  Editors wait for the list.
Since Monday it is slow. '''
constraints = ["one machine", " no new service "]
[rules.DB101]
repeats = 9
[[ignore]]
rule = "DB101"
file = "a.py"
reason = "known"
[[acknowledge]]
rule = "DB105"
endpoint = "GET /x"
until = 2030-01-31
reason = "later"
"""


def load(root: Path, text: str) -> config.Config:
    (root / "perfcrew.toml").write_text(text)
    return config.load(root)


def test_no_file_means_nothing_given(tmp_path: Path) -> None:
    assert config.load(tmp_path) == config.Config()


def test_a_whole_file(tmp_path: Path) -> None:
    found = load(tmp_path, WHOLE)
    assert found.file == tmp_path / "perfcrew.toml"
    assert found.target.start == ("uvicorn", "main:app", "--port", "{port}")
    assert found.target.prepare == (("alembic", "upgrade", "head"), ("python", "-m", "shop seed"))
    assert found.target.tests == ("pytest", "-q")
    assert found.target.environment == {"DEBUG": "0"}
    assert found.auth.script == ("python", "login.py", "--quick")
    assert found.auth.login and found.auth.login.csrf
    assert found.scenarios[0].requests[1].json_body == {"a": [1]}
    assert found.review.given() == {"profile": "web-api", "level": "high", "seconds": 2.0, "base": "main"}
    assert found.frame.primary_metric == "startup"
    assert found.frame.context == "Editors wait for the list.\nSince Monday it is slow."
    assert found.frame.constraints == ("one machine", "no new service")
    assert found.rules == {"DB101": {"repeats": 9.0}}
    assert found.ignore[0].file == "a.py"
    assert found.acknowledge[0].until == date(2030, 1, 31)


def test_review_knows_all_that_settings_take() -> None:
    assert set(settings.Measuring.model_fields) <= set(config.Review.model_fields)


MISTAKES = [
    ("not TOML", "a = = 1", "not valid TOML", "correct that line"),
    ("unknown table", "[taget]\na = 1", "unknown key taget", "did you mean target?"),
    ("unknown key", '[target]\nframwork = "django"', "unknown key target.framwork", "did you mean framework?"),
    ("unknown key, nothing near", "[target]\nzzzz = 1", "unknown key target.zzzz", "known here: app"),
    ("unknown key in a list", '[[ignore]]\nrule = "A"\nresaon = "x"', "ignore.0", ""),
    (
        "unknown key in login",
        '[auth.login]\npath = "/"\ncsfr = true',
        "unknown key auth.login.csfr",
        "did you mean csrf?",
    ),
    ("unknown key in a request", '[[scenarios]]\nname="a"\nrequests=[{pth="/"}]', "requests.0", ""),
    ("the internal key", 'file = "x"', "unknown key file", "remove"),
    ("a wrong type", "[target]\nstart_timeout_s = 'soon'", "target.start_timeout_s", "correct the value"),
    ("an unknown framework", "[target]\nframework = 'rails'", "target.framework", "correct the value"),
    ("an unknown level", "[review]\nlevel = 'severe'", "review.level", "correct the value"),
    ("acknowledged for ever", '[[acknowledge]]\nrule="A"\nreason="b"', "acknowledge.0.until", "correct the value"),
    ("ignored without a reason", '[[ignore]]\nrule="A"', "ignore.0.reason", "correct the value"),
    (
        "a header's secret",
        '[auth]\nheaders = { Authorization = "Bearer hunter2" }',
        "headers.Authorization is a secret",
        "",
    ),
    (
        "the other user's secret",
        '[other_user]\nheaders = { Authorization = "Bearer hunter2" }',
        "headers.Authorization is a secret",
        "",
    ),
    ("a cookie's secret", '[auth]\ncookies = { session = "hunter2" }', "cookies.session is a secret", ""),
    ("a password", '[auth.login]\npath = "/"\nform = { password = "hunter2" }', "login.password is a secret", ""),
    ("a context that says nothing", '[frame]\ncontext = "  "', "frame.context", "correct the value"),
    ("a context that is a book", f'[frame]\ncontext = "{"x" * 2001}"', "frame.context", "correct the value"),
    ("a constraint that is no list", '[frame]\nconstraints = "cheap"', "frame.constraints", "correct the value"),
    ("an empty constraint", '[frame]\nconstraints = ["cheap", ""]', "frame.constraints.1", "correct the value"),
    ("too many constraints", f"[frame]\nconstraints = {['x'] * 21}", "frame.constraints", "correct the value"),
    ("an unknown key of the frame", '[frame]\nconstraint = ["cheap"]', "unknown key frame.constraint", "constraints?"),
    ("an unclosed quote", '[target]\nstart = "uvicorn \'a"', "target.start", "correct the value"),
]


@pytest.mark.parametrize(("text", "what", "do"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistakes(text: str, what: str, do: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    said = str(caught.value)
    assert what in said
    assert do in said
    assert str(tmp_path / "perfcrew.toml") in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env:SHOP_A", "one"),
        ("Bearer env:SHOP_A", "Bearer one"),
        ("env:SHOP_A env:SHOP_B", "one two"),
        ("myenv:SHOP_A", "myenv:SHOP_A"),
        ("plain", "plain"),
    ],
)
def test_references(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_A", "one")
    monkeypatch.setenv("SHOP_B", "two")
    assert config.resolved(text, "here") == expected


def test_a_reference_to_nothing() -> None:
    with pytest.raises(UsageError, match="SHOP_NOWHERE is not set"):
        config.resolved("env:SHOP_NOWHERE", "perfcrew.toml")
