"""URLs of Redis."""

from __future__ import annotations

import pytest

from mesh.redis import RedisClient
from mesh.redis._location import Host, Location


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:1", Location(hosts=(Host("h", 1),))),
        ("redis://h", Location(hosts=(Host("h", 6379),))),
        ("redis://h:1/3", Location(hosts=(Host("h", 1),), database=3)),
        ("redis://[::1]:7", Location(hosts=(Host("::1", 7),))),
        ("redis://[::1]", Location(hosts=(Host("::1", 6379),))),
        ("redis://u@h:1", Location(hosts=(Host("h", 1),), user="u")),
        ("rediss://h:1?ca=/c.pem", Location(hosts=(Host("h", 1),), tls=True, ca="/c.pem")),
        (
            "redis+cluster://a:1,b:2",
            Location(hosts=(Host("a", 1), Host("b", 2)), cluster=True),
        ),
        ("rediss+cluster://a:1", Location(hosts=(Host("a", 1),), cluster=True, tls=True)),
    ],
)
def test_a_url_names_hosts_and_how_to_reach_them(url: str, expected: Location) -> None:
    """One server, with TLS or without, or the seeds of a cluster."""
    assert Location.parse(url) == expected


@pytest.mark.parametrize(
    "url", ["", "http://h", "redis://", "redis://h:x", "redis://a:1,", "redis+cluster://a:1/2"]
)
def test_what_is_no_url_of_redis_is_refused(url: str) -> None:
    """When it is read, not when it is used."""
    with pytest.raises(ValueError, match=r"Redis|host:port"):
        RedisClient(url)


def test_the_password_is_used_and_never_shown() -> None:
    """Wherever it came from; the one that is given apart counts."""
    both = Location.parse("redis://u:p%40ss@h:1", "secret")
    in_url = Location.parse("redis://u:p%40ss@h:1")
    assert (both.password, in_url.password) == ("secret", "p@ss")
    shown = repr(both) + repr(in_url) + repr(RedisClient("redis://u:p%40ss@h:1", password="secret"))
    assert "secret" not in shown
    assert "ss" not in shown.replace("password", "")
