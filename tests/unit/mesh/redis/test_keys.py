"""Which key a command goes by in a cluster."""

from __future__ import annotations

import pytest

from mesh.redis._cluster import key_of
from mesh.redis._node import Word


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("GET", "k"), b"k"),
        (("get", b"\xff"), b"\xff"),
        (("MGET", "k", "l"), b"k"),
        (("EVALSHA", "sha", 2, "k", "l", "a"), b"k"),
        (("EVAL", "lua", 0, "a"), None),
        (("XADD", "k", "*", "f", "v"), b"k"),
        (("XREAD", "COUNT", 5, "BLOCK", 0, "STREAMS", "k", "$"), b"k"),
        (("XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">"), b"k"),
        (("XGROUP", "CREATE", "k", "g", "$"), b"k"),
        (("XINFO", "STREAM", "k"), b"k"),
        (("PING",), None),
        (("CLUSTER", "SLOTS"), None),
    ],
)
def test_a_command_goes_by_its_first_key(words: tuple[Word, ...], key: bytes | None) -> None:
    """Or anywhere, when it has none."""
    assert key_of(words) == key
