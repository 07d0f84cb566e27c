"""Metadata that repeats is said once, and is kept within bounds and within a token's life."""

from __future__ import annotations

import base64
import json
import time
from unittest import mock

import pytest

from mesh.lane.blocks import KEEP_S, Blocks, Shared
from mesh.lane.frames import MAX_BLOCK_BYTES, MAX_BLOCKS, Kind, Pair

NOW = 1_000_000.0


def token(**claims: object) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"Bearer head.{middle}.signature"


@pytest.fixture(autouse=True)
def now() -> object:
    """The wall clock stands still."""
    with mock.patch.object(time, "time", return_value=NOW) as clock:
        yield clock


def test_a_block_is_said_once() -> None:
    """Then its number stands for it."""
    blocks, shared = Blocks(), Shared([("user", "a")])
    first = blocks.id_of(shared)
    assert blocks.take_fresh() == [(first, [("user", b"a")])]
    assert blocks.id_of(shared) == first
    assert not blocks.take_fresh()


def test_no_more_than_so_many_blocks_are_kept() -> None:
    """The oldest makes room for the newest, and the server is told."""
    blocks = Blocks()
    numbers = [blocks.id_of(Shared([("n", str(n))])) for n in range(MAX_BLOCKS + 2)]
    assert blocks.take_dropped() == [(Kind.DROP, number, "") for number in numbers[:2]]
    assert len(blocks._ids) == MAX_BLOCKS


def test_no_more_than_so_many_bytes_are_kept() -> None:
    """Large blocks drive out more than one."""
    blocks = Blocks()
    for n in range(20):
        blocks.id_of(Shared([("n", str(n) * 8_000)]))
        assert blocks._bytes <= MAX_BLOCK_BYTES
    assert blocks._bytes == sum(shared.size for shared in blocks._ids)
    assert len(blocks.dropped) == 20 - len(blocks._ids)


def test_a_block_that_was_dropped_gets_another_number() -> None:
    """The old number may still be on its way."""
    blocks, shared = Blocks(), Shared([("user", "a")])
    first = blocks.id_of(shared)
    for n in range(MAX_BLOCKS):
        blocks.id_of(Shared([("n", str(n))]))
    assert blocks.id_of(shared) > first
    assert blocks.take_fresh()[-1][1] == [("user", b"a")]


@pytest.mark.parametrize(
    ("value", "until"),
    [
        (token(exp=NOW + 60), NOW + 60),
        (token(exp=NOW + 2 * KEEP_S), NOW + KEEP_S),
        (token(exp=NOW - 1), NOW - 1),
        (token(), NOW + KEEP_S),
        (token(exp="soon"), NOW + KEEP_S),
        (token(exp=None), NOW + KEEP_S),
        ("Bearer a.b.c", NOW + KEEP_S),
        ("Bearer a.\x7f.c", NOW + KEEP_S),
        ("Bearer a." + "W1tb" * 3_000 + ".c", NOW + KEEP_S),
        ("plain", NOW + KEEP_S),
        ("", NOW + KEEP_S),
    ],
)
def test_a_block_lives_no_longer_than_its_token(value: str, until: float) -> None:
    """What is no token, or tells no expiry, is kept for a while."""
    assert Shared([("authorization", value)]).until == until


def test_the_first_of_several_tokens_to_expire_counts() -> None:
    """A user's and the calling service's travel in one block."""
    pairs: list[Pair] = [("a", token(exp=NOW + 50)), ("b", token(exp=NOW + 20))]
    pairs.append(("c-bin", b"a.b.c"))
    assert Shared(pairs).until == NOW + 20


def test_a_block_is_dropped_when_its_token_expires() -> None:
    """The others stay."""
    blocks = Blocks()
    short, long = Shared([("a", token(exp=NOW + 5))]), Shared([("b", "b")])
    number = blocks.id_of(short)
    blocks.id_of(long)
    blocks.forget_expired()
    assert not blocks.dropped
    with mock.patch.object(time, "time", return_value=NOW + 5):
        blocks.forget_expired()
    assert blocks.take_dropped() == [(Kind.DROP, number, "")]
    assert list(blocks._ids) == [long]
    assert blocks._bytes == long.size
