"""Turns every address of a Redis in Django's settings to another server, and tells which there were.

Runs in the target's interpreter too, beside `address`: standard library only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from perfcrew.target.redis.address import is_url, moved
else:
    try:
        from perfcrew_redis_address import is_url, moved
    except ImportError:
        from perfcrew.target.redis.address import is_url, moved

_OF_PARTS = ("REDIS", "VALKEY", "RQ_QUEUES", "CACHEOPS", "CHANNEL", "HUEY")
_SOCKETS = ("UNIX_SOCKET_PATH", "unix_socket_path", "UNIX_DOMAIN_SOCKET_PATH", "unix_domain_socket_path")
_USUAL = "redis://localhost:6379"


class Turning:
    """`to` has the other server's host, port, password and socket; `found` are the addresses that were turned."""

    def __init__(self, to: dict[str, Any]) -> None:
        self.to = to
        self.found: list[str] = []

    def setting(self, name: str, value: Any) -> Any:
        """The setting of this name."""
        if name == "CACHES" and isinstance(value, dict):
            return {alias: self._cache(one) for alias, one in value.items()}
        if name == "CHANNEL_LAYERS" and isinstance(value, dict):
            value = {alias: self._layer(one) for alias, one in value.items()}
        kind = name.rpartition("_")[2]
        plain = isinstance(value, (str, int)) and not isinstance(value, bool)
        if plain and kind in ("HOST", "PORT") and ("REDIS" in name or "VALKEY" in name) and not is_url(str(value)):
            self.found.append(f"redis://{value}" if kind == "HOST" else f"redis://localhost:{value}")
            told = self.to[kind.lower()]
            return str(told) if isinstance(value, str) else told
        return self.value(value, name)

    def value(self, value: Any, name: str) -> Any:
        """What stands somewhere in a setting; `name` is the setting's and those of the keys that lead there."""
        if isinstance(value, str):
            return self._url(value) if is_url(value, name) else value
        if isinstance(value, dict):
            return self._parts({key: self.value(one, f"{name}.{key}") for key, one in value.items()}, name)
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            if len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int and "CHANNEL" in name:
                self.found.append("redis://{}:{}".format(*value))
                made = [self.to["host"], self.to["port"]]
            else:
                made = [self.value(one, name) for one in value]
            return made if isinstance(value, list) else tuple(made)
        return value

    def _url(self, value: str) -> str:
        self.found.append(value)
        return moved(value, self.to["host"], self.to["port"], self.to["password"])

    def _parts(self, found: dict[str, Any], name: str) -> dict[str, Any]:
        """Entries such as RQ's `{"HOST": ..., "PORT": ...}` and cacheops' `{"host": ..., "port": ...}`."""
        if not any(word in name.upper() for word in _OF_PARTS):
            return found
        for host, port, password in (("HOST", "PORT", "PASSWORD"), ("host", "port", "password")):
            has_port = isinstance(found.get(port), (int, str)) and name.upper() != "HUEY"
            named = isinstance(found.get(host), str) and not is_url(found[host])
            if named or (host not in found and has_port):
                self.found.append(f"redis://{found.get(host, 'localhost')}:{found.get(port, 6379)}")
                found = {**found, host: self.to["host"], port: self.to["port"]}
                if password in found and not self.to["password"]:
                    found[password] = None
        for key in _SOCKETS:
            if isinstance(found.get(key), str):
                self.found.append(f"unix://{found[key]}")
                found = {**found, key: self.to["socket"]}
        return found

    def _cache(self, one: Any) -> Any:
        """An entry of CACHES: that of a Redis may hold a bare `host:port` or a socket's path."""
        if not isinstance(one, dict) or not any(
            word in str(one.get("BACKEND")).lower() for word in ("redis", "valkey")
        ):
            return self.value(one, "CACHES")
        several = isinstance(one.get("LOCATION"), (list, tuple))
        places = list(one["LOCATION"]) if several else [one.get("LOCATION") or _USUAL]
        turned = [self._place(str(place)) for place in places]
        made = {**one, "LOCATION": type(one["LOCATION"])(turned) if several else turned[0]}
        options = made.get("OPTIONS")
        if isinstance(options, dict) and "PASSWORD" in options and not self.to["password"]:
            made["OPTIONS"] = {key: value for key, value in options.items() if key != "PASSWORD"}
        return made

    def _place(self, place: str) -> str:
        if is_url(place, "CACHES"):
            return self._url(place)
        path = place[5:] if place.startswith("unix:") else place
        self.found.append(f"unix://{path}" if path.startswith("/") else f"redis://{place}")
        return str(self.to["socket"]) if path.startswith("/") else f"{self.to['host']}:{self.to['port']}"

    def _layer(self, one: Any) -> Any:
        """An entry of CHANNEL_LAYERS: without hosts it means the usual place."""
        config = one.get("CONFIG", {}) if isinstance(one, dict) else None
        if not isinstance(config, dict) or config.get("hosts") or "redis" not in str(one.get("BACKEND")).lower():
            return one
        return {**one, "CONFIG": {**config, "hosts": [_USUAL]}}
