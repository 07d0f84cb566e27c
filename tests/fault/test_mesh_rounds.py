"""Calls through the registry keep what was promised, whatever happens to who is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault import ViolationError, rounds
from tests.fault.mesh_caller import GIVES_UP, REPEATS
from tests.fault.mesh_rounds import ROUNDS

SEED = 20261127
PATIENCE = 6.0
"""Times that all may take what is promised: here it is not about the speed of the machine."""
CALLS = 200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that fails leaves what it knows with the test."""
    monkeypatch.setattr(rounds, "KEPT", tmp_path)


@pytest.mark.parametrize("name", ROUNDS)
def test_calls_are_what_was_promised(name: str) -> None:
    """No effect is doubled, no call that may be repeated is lost, and all is well again."""
    told = rounds.play_mesh(name, seed=SEED, patience=PATIENCE)
    assert told.calls > CALLS


def test_a_caller_that_repeats_whatever_was_lost_is_found_out() -> None:
    """What a process did that was frozen is done again elsewhere; the round says so."""
    with pytest.raises(ViolationError, match=r"(?s)effect doubled.*again: .*--only mesh-stopped "):
        rounds.play_mesh("mesh-stopped", seed=SEED, patience=PATIENCE, careless=REPEATS)


def test_a_caller_that_repeats_nothing_is_found_out() -> None:
    """It loses reads that another process would have answered."""
    with pytest.raises(ViolationError, match="read lost"):
        rounds.play_mesh("mesh-stopped", seed=SEED, patience=PATIENCE, careless=GIVES_UP)
