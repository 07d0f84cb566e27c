"""Tokens: one for each number, in no visible order, by a key that stays."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from centers.ark.errors import ArkReason
from centers.ark.tokens import KEY_BYTES, PermutedTokens, load_key
from mesh.errors import MeshError
from sequencer.sdk import (
    KeyedPermutation,
    Lease,
    LeaseRequest,
    LocalRangeSource,
    Sequencer,
    SequencerUnavailable,
)

KEY = bytes(range(KEY_BYTES))
NAME = "ark.customer_token"


class DownSource(LocalRangeSource):
    """A source that cannot be reached."""

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        raise SequencerUnavailable("down")


@pytest.fixture
def sequencer() -> Iterator[Sequencer]:
    with Sequencer(LocalRangeSource(), create_missing=True) as sequencer:
        yield sequencer


async def test_tokens_are_the_numbers_behind_the_key(sequencer: Sequencer) -> None:
    """Who has the key finds the sequence's numbers in the tokens, in order."""
    tokens = PermutedTokens(sequencer.sequence(NAME), KEY)
    taken = [*await tokens.take(3), *await tokens.take(2)]
    permutation = KeyedPermutation(KEY, bits=62)
    assert [permutation.decode(token) for token in taken] == [1, 2, 3, 4, 5]


async def test_tokens_do_not_show_their_order(sequencer: Sequencer) -> None:
    """A later token is not a higher one, and all are positive and differ."""
    taken = await PermutedTokens(sequencer.sequence(NAME), KEY).take(200)
    assert taken != sorted(taken)
    assert len(set(taken)) == 200
    assert all(0 < token < 2**62 for token in taken)


async def test_number_that_would_become_zero_is_passed_over() -> None:
    """No customer gets the token 0, which means "none" everywhere else."""
    zero = KeyedPermutation(KEY, bits=62).decode(0)
    source = LocalRangeSource()
    source.create(NAME, start=zero - 1)
    with Sequencer(source) as sequencer:
        taken = await PermutedTokens(sequencer.sequence(NAME), KEY).take(3)
    permutation = KeyedPermutation(KEY, bits=62)
    assert [permutation.decode(token) for token in taken] == [zero - 1, zero + 1, zero + 2]


async def test_no_tokens_are_no_trouble(sequencer: Sequencer) -> None:
    """An import of known customers alone takes no number."""
    assert await PermutedTokens(sequencer.sequence(NAME), KEY).take(0) == []


async def test_sequencer_that_is_down_is_named() -> None:
    """Without the sequencer the caller hears that tokens cannot be had."""
    with Sequencer(DownSource(), timeout_s=0.05, create_missing=True) as sequencer:
        tokens = PermutedTokens(sequencer.sequence(NAME), KEY)
        with pytest.raises(MeshError) as refused:
            await tokens.take(1)
    assert refused.value.reason is ArkReason.TOKENS_UNAVAILABLE


def test_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """The first start makes a key that only its owner can read; later ones find it."""
    path = tmp_path / "ark-permutation.key"
    key = load_key(path)
    assert len(key) == KEY_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path) == key
    assert list(tmp_path.iterdir()) == [path]


def test_keys_differ(tmp_path: Path) -> None:
    """Two Arks do not share a key by chance."""
    assert load_key(tmp_path / "one.key") != load_key(tmp_path / "other.key")


def test_damaged_key_is_refused(tmp_path: Path) -> None:
    """A key of the wrong length is not used, for its tokens would be others."""
    path = tmp_path / "ark-permutation.key"
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="must hold 32 bytes"):
        load_key(path)
