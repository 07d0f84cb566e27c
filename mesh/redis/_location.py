"""Where Redis is, as a URL names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

DEFAULT_PORT = 6379
_SCHEMES = ("redis", "rediss", "redis+cluster", "rediss+cluster")


class Host(NamedTuple):
    """Where one node listens."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host`, `host:port` or `[v6]:port`."""
        name, colon, port = text.rpartition(":")
        if not colon or name.endswith(":") or text.endswith("]"):
            name, port = text, str(DEFAULT_PORT)
        if not name or not port.isascii() or not port.isdigit():
            raise ValueError(f"{text!r} is not host:port")
        return cls(name.strip("[]"), int(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A Redis, or the seeds of a Redis Cluster; secrets are never shown."""

    hosts: tuple[Host, ...]
    cluster: bool = False
    tls: bool = False
    ca: str | None = None
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, password: str = "") -> Self:
        """Read `redis://[user@]host:port[/db]`, `rediss://…[?ca=file]`, `redis+cluster://h:p,h:p`.

        Raises:
            ValueError: the URL is none of these.
        """
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            raise ValueError(f"the URL of Redis must begin with one of {', '.join(_SCHEMES)}")
        who, _, hosts = parts.netloc.rpartition("@")
        user, _, secret = who.partition(":")
        cluster = parts.scheme.endswith("+cluster")
        return cls(
            hosts=tuple(Host.parse(host) for host in hosts.split(",")),
            cluster=cluster,
            tls=parts.scheme.startswith("rediss"),
            ca=parse_qs(parts.query).get("ca", [None])[0],
            database=_database(parts, cluster=cluster),
            user=unquote(user) or None,
            password=password or unquote(secret) or None,
        )


def _database(parts: SplitResult, *, cluster: bool) -> int:
    number = parts.path.strip("/") or "0"
    if not number.isascii() or not number.isdigit() or (cluster and number != "0"):
        raise ValueError(f"'/{number}' is not a database of that Redis")
    return int(number)
