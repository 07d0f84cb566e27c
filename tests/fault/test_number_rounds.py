"""Every number is used or accounted for, whatever is killed, frozen, cut off or put back."""

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
@pytest.mark.parametrize("name", ["gapless-file", "gapless-mariadb", "gapless-link"])
def test_numbers_are_used_or_accounted_for(name: str) -> None:
    """None is used twice, and none that was used is free, void or missing."""
    told = rounds.play_ids(name, seed=SEED, seconds=SECONDS)
    assert told.ids > 1_000
    assert told.faults


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.timeout(300)
def test_a_server_that_reissues_what_an_older_copy_forgot_is_found_out() -> None:
    """Without witnesses numbers are used twice; the round says so."""
    with pytest.raises(ViolationError, match="given twice"):
        rounds.play_ids("gapless-file", seed=SEED, seconds=SECONDS, careless=True)
