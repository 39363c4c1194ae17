"""What the source says of Redis: the variables that carry its address, their defaults, and what is written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from perfcrew.core.project import Project, RedisAddress
from perfcrew.target import config
from perfcrew.target.detect import detect
from perfcrew.target.init import document
from perfcrew.target.redis.turning import Turning

from .skeletons import FASTAPI, django, lay

HEAD = FASTAPI + "import os\nimport redis\n"
LOCAL = "redis://localhost:6379"


def found(root: Path, files: Mapping[str, str], given: Mapping[str, object] | None = None) -> Project:
    lay(root, files, ("uvicorn",))
    return detect(root, config=config.parse({"target": dict(given)} if given else {}, root / config.FILE))


@dataclass(frozen=True)
class Case:
    """A source, the default or address that it means, its variables, and whether it can't be told of another."""

    name: str
    files: Mapping[str, str]
    url: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    fixed: bool = False


SETTINGS = "from pydantic import Field, RedisDsn\nfrom pydantic_settings import BaseSettings\nclass S(BaseSettings):\n"
CASES = [
    Case("a variable", {"main.py": HEAD + "r = redis.from_url(os.environ['REDIS_URL'])\n"}, None, {"REDIS_URL": "url"}),
    Case(
        "a variable with a default",
        {"main.py": HEAD + f"r = redis.from_url(os.getenv('CACHE_URL', '{LOCAL}/1'))\n"},
        f"{LOCAL}/1",
        {"CACHE_URL": "url"},
    ),
    Case(
        "a variable or a constant",
        {"main.py": HEAD + f"D = '{LOCAL}'\nr = redis.from_url(os.environ.get('REDIS_URI') or D)\n"},
        LOCAL,
        {"REDIS_URI": "url"},
    ),
    Case(
        "a default of another line of the file, with a password",
        {"main.py": HEAD + "D = 'redis://:pw@localhost'\nif 'REDIS_URL' in os.environ: D = os.environ['REDIS_URL']\n"},
        "redis://localhost",
        {"REDIS_URL": "url"},
    ),
    Case(
        "Celery's broker",
        {"main.py": HEAD + f"app = Celery(broker=os.getenv('CELERY_BROKER_URL', '{LOCAL}/2'))\n"},
        f"{LOCAL}/2",
        {"CELERY_BROKER_URL": "url"},
    ),
    Case(
        "host and port",
        {"main.py": HEAD + "r = redis.Redis(os.getenv('REDIS_HOST', 'cache'), os.getenv('REDIS_PORT', 6380))\n"},
        "redis://cache:6380",
        {"REDIS_HOST": "host", "REDIS_PORT": "port"},
    ),
    Case(
        "fields of a settings class with a prefix",
        {
            "main.py": FASTAPI,
            "conf.py": "from pydantic_settings import BaseSettings, SettingsConfigDict\nclass Settings(BaseSettings):\n"
            "    model_config = SettingsConfigDict(env_prefix='SHOP_')\n    redis_host: str = 'localhost'\n"
            "    redis_port: int = 6379\n    redis_password: str = 'hunter2'\n",
        },
        LOCAL,
        {"SHOP_REDIS_HOST": "host", "SHOP_REDIS_PORT": "port", "SHOP_REDIS_PASSWORD": "password"},
    ),
    Case(
        "a field's factory",
        {
            "main.py": FASTAPI,
            "conf.py": SETTINGS + f"    redis_url: str = Field(default_factory=lambda: '{LOCAL}/4')\n",
        },
        f"{LOCAL}/4",
        {"REDIS_URL": "url"},
    ),
    Case(
        "a field of a type of its own",
        {"main.py": FASTAPI, "conf.py": SETTINGS + f"    redis_url: RedisDsn = RedisDsn('{LOCAL}/5')\n"},
        f"{LOCAL}/5",
        {"REDIS_URL": "url"},
    ),
    Case(
        "a client's host by a name",
        {"main.py": HEAD + "HOST = 'cache'\nr = redis.Redis(host=HOST)\n"},
        "redis://cache:6379",
        fixed=True,
    ),
    Case("a client without arguments", {"main.py": HEAD + "r = redis.Redis()\n"}, LOCAL, fixed=True),
    Case("a client's host", {"main.py": HEAD + "r = redis.Redis(host='cache')\n"}, "redis://cache:6379", fixed=True),
    Case("a URL written out", {"main.py": HEAD + f"r = redis.from_url('{LOCAL}/9')\n"}, f"{LOCAL}/9", fixed=True),
    Case(
        "Flask's settings",
        {"main.py": FASTAPI + f"app.config['CACHE_REDIS_URL'] = '{LOCAL}'\n"},
        LOCAL,
        fixed=True,
    ),
    Case("a socket", {"main.py": HEAD + "r = redis.Redis(unix_socket_path='/r.sock')\n"}, "unix:///r.sock", fixed=True),
]
LOOK_ALIKES = {
    "no Redis": {"main.py": FASTAPI},
    "a client whose host is not known": {"main.py": HEAD + "def f(h):\n    return redis.Redis(host=h)\n"},
    "a client whose host is asked for": {"main.py": HEAD + "def f():\n    h = ask()\n    return redis.Redis(host=h)\n"},
    "a client with a pool": {"main.py": HEAD + "def f(p):\n    return redis.Redis(connection_pool=p)\n"},
    "a URL of its documentation": {"main.py": HEAD + "DOCS = 'https://redis.io'\n"},
    "a text that speaks of one": {"main.py": FASTAPI + "HELP = 'write redis://host:port'\n"},
    "its tests": {"main.py": FASTAPI, "tests/conftest.py": "import redis\nr = redis.Redis()\n"},
    "Docker's socket": {"main.py": FASTAPI + "# redis\nDOCKER_HOST = 'unix:///var/run/docker.sock'\n"},
    "a broker that is none": {"main.py": HEAD + "BROKER = 'amqp://localhost'\n"},
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_found(tmp_path: Path, case: Case) -> None:
    (address,) = found(tmp_path, case.files).redis
    assert (address.url, address.variables, address.fixed) == (case.url, case.variables, case.fixed)


@pytest.mark.parametrize("files", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_not_found(tmp_path: Path, files: Mapping[str, str]) -> None:
    assert found(tmp_path, files).redis == ()


def test_the_user_says_which_variable_decides(tmp_path: Path) -> None:
    files = {"main.py": HEAD + "r = redis.Redis()\n"}
    project = found(tmp_path, files, {"redis_variable": "MY_CACHE", "shared_redis": True})
    assert project.redis == (RedisAddress(source="perfcrew.toml", variables={"MY_CACHE": "url"}),)
    assert project.shared_redis
    text = document(project)
    assert 'redis_variable = "MY_CACHE"' in text
    assert "shared_redis = true" in text


def test_the_user_says_that_there_is_none(tmp_path: Path) -> None:
    project = found(tmp_path, {"main.py": HEAD + "r = redis.Redis()\n"}, {"redis_variable": ""})
    assert project.redis == ()
    assert 'redis_variable = ""' in document(project)


def test_django_settings_are_asked(tmp_path: Path) -> None:
    caches = 'CACHES = {"default": {"BACKEND": "x.RedisCache", "LOCATION": ["redis://:pw@cache:6379/1"]}}\n'
    layers = 'CHANNEL_LAYERS = {"default": {"CONFIG": {"hosts": [("layers", 6380)]}}}\nPOINT = ("cache", 80)\n'
    files = django()
    files["shop/settings.py"] = files["shop/settings.py"].lstrip("\n") + caches + layers
    project = found(tmp_path, files)
    assert {a.url for a in project.redis} == {"redis://layers:6380", "redis://cache:6379/1"}
    assert all(a.settings and not a.fixed for a in project.redis)
    assert "pw" not in project.model_dump_json(include={"redis", "detected"})


def test_a_client_beside_django_settings_is_told_as_fixed(tmp_path: Path) -> None:
    files = django()
    files["shop/settings.py"] = (
        files["shop/settings.py"].lstrip("\n") + 'CELERY_BROKER_URL = "redis://localhost:6379"\n'
    )
    files["shop/limits.py"] = "import redis\nclient = redis.Redis()\n"
    project = found(tmp_path, files)
    assert [(a.source, a.settings, a.fixed) for a in project.redis] == [
        ("settings", True, False),
        ("shop/limits.py:2", False, True),
    ]


CACHES = "CACHES = {{'default': {{'BACKEND': 'x.RedisCache', 'LOCATION': {}}}}}"
DJANGO = {
    "a bare place": (CACHES.format("'localhost:6390'"), "redis://localhost:6390"),
    "a socket's path": (CACHES.format("'/run/redis.sock'"), "unix:///run/redis.sock"),
    "a socket's URL": (CACHES.format("'unix:///run/redis.sock?db=1'"), "unix:///run/redis.sock?db=1"),
    "several": (CACHES.format("['redis://a:1/1', 'b:2']"), "redis://a:1/1 redis://b:2"),
    "cacheops": ("CACHEOPS_REDIS = {'host': 'localhost', 'port': 6390, 'db': 1}", "redis://localhost:6390"),
    "constance": ("CONSTANCE_REDIS_CONNECTION = {'host': 'h', 'port': 6390, 'db': 0}", "redis://h:6390"),
    "sessions": ("SESSION_REDIS = {'host': 'h', 'password': 'x'}", "redis://h:6379"),
    "django-q": ("Q_CLUSTER = {'name': 'x', 'redis': {'host': 'h', 'port': 6390}}", "redis://h:6390"),
    "huey": ("HUEY = {'connection': {'host': 'h', 'port': 6390}}", "redis://h:6390"),
    "plain parts": ("REDIS_HOST = 'h'", "redis://h"),
    "layers without hosts": (
        "CHANNEL_LAYERS = {'default': {'BACKEND': 'channels_redis.core.RedisChannelLayer'}}", "redis://localhost:6379"),
    "rq's socket": ("RQ_QUEUES = {'default': {'UNIX_SOCKET_PATH': '/r.sock'}}", "unix:///r.sock"),
    "another cache": ("CACHES = {'default': {'BACKEND': 'x.Memcached', 'LOCATION': 'localhost:11211'}}", ""),
    "mail": ("EMAIL_HOST = 'localhost'\nEMAIL_PORT = 25", ""),
    "another database": ("MONGO = {'host': 'localhost', 'port': 27017}", ""),
    "a huey of SQLite": ("HUEY = {'huey_class': 'huey.SqliteHuey', 'filename': 'x'}", ""),
}  # fmt: skip


def test_django_settings_name_one_in_many_ways() -> None:
    """Found as they are turned: what is turned is what is found."""
    for name, (text, urls) in DJANGO.items():
        settings: dict[str, object] = {}
        exec(text, settings)
        turning = Turning({"host": "127.0.0.9", "port": 7, "password": "", "socket": "/own.sock"})
        held = {key: value for key, value in settings.items() if key.isupper()}
        turned = {key: turning.setting(key, value) for key, value in held.items()}
        assert " ".join(turning.found) == urls, name
        assert (turned != held) == bool(urls), name
        again = Turning({"host": "127.0.0.9", "port": 7, "password": "", "socket": "/own.sock"})
        assert {key: again.setting(key, value) for key, value in turned.items()} == turned, name
        assert "'password': 'x'" not in str(turned), name
