"""Events have their effect once, whatever is killed, frozen or cut off on their way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault import ViolationError, rounds

SEED = 20261126


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a round that fails leaves what it knows."""
    monkeypatch.setattr(rounds, "KEPT", tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("embedded", 60_000),
        pytest.param("mixed", 20_000, marks=pytest.mark.real),
        pytest.param("real", 100_000, marks=pytest.mark.real),
        pytest.param("links", 20_000, marks=pytest.mark.real),
    ],
)
def test_each_effect_happens_once(name: str, events: int) -> None:
    """Acknowledged rows are there, and the events of all rows had their effect once."""
    assert rounds.play(name, seed=SEED, events=events) >= 1


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_consumer_that_forgets_is_found_out(kept: Path) -> None:
    """One whose effects are not in the transaction of its inbox doubles some; the round says so.

    It is killed when it is at work again: the bus waits 3 s for one that was killed.
    """
    with pytest.raises(ViolationError, match=r"(?s)effect doubled.*again: .*--events 20000"):
        rounds.play("embedded", seed=SEED, events=20_000, careless=True, every_s=(3.5, 4.5))
    left = {path.name for path in kept.rglob("*.jsonl")}
    assert left == {"nemesis.jsonl", "producer.jsonl"}
