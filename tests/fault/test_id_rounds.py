"""Ids keep the promise of their kind, whatever is killed, frozen, cut off or put back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault import ViolationError, rounds

SEED = 20261126
SECONDS = 15.0


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that fails leaves what it knows with the test."""
    monkeypatch.setattr(rounds, "KEPT", tmp_path)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name", ["segment-file", "strict-file", "segment-mariadb", "strict-link", "snowflake-mariadb"]
)
def test_ids_are_what_was_promised(name: str) -> None:
    """Nothing is given twice or falls, and strict ids follow the order in which they were asked."""
    told = rounds.play_ids(name, seed=SEED, seconds=SECONDS)
    assert told.ids > 100_000
    assert told.faults


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.timeout(300)
def test_a_server_that_believes_a_store_put_back_is_found_out() -> None:
    """Without witnesses ids come twice; the round says so, and how to see it again."""
    with pytest.raises(ViolationError, match=r"(?s)given twice.*again: .*--only segment-file"):
        rounds.play_ids("segment-file", seed=SEED, seconds=SECONDS, careless=True)
