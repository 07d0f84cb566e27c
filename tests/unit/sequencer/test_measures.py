"""The numbers of a service tell how its sequences fare."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from mesh.telemetry import Meters
from sequencer.sdk import LocalRangeSource, Sequencer, SequenceStats
from sequencer.sdk._measures import KEPT_S, MOST_COVERED_S, Measures

IDLE = SequenceStats(
    held=1_000,
    rate_per_s=0.0,
    waits=0,
    leases=1,
    covered_s=inf,
    refill_latency_s=0.002,
    wasted=0,
    fence_jumps=0,
)
BUSY = replace(IDLE, held=500, rate_per_s=10.0, waits=3, covered_s=50.0, refill_latency_s=0.02)
FENCED = replace(BUSY, held=90, covered_s=9.0, wasted=410, fence_jumps=1, leases=2)


class Fake:
    """A sequence that fares as it is told."""

    def __init__(self, name: str, stats: SequenceStats) -> None:
        self.name = name
        self.now = stats
        self.looks = 0

    def stats(self) -> SequenceStats:
        self.looks += 1
        return self.now


class Time:
    """A clock that stands still."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(meters: Meters) -> dict[str, float]:
    """All numbers, by the ends of their names."""
    assert all(name.startswith("sequencer.client.") for name in (*meters.gauges, *meters.totals))
    reads = {**meters.gauges, **meters.totals}
    return {name.rpartition(".")[2]: read() for name, read in reads.items()}


def test_numbers_are_of_all_sequences() -> None:
    """Sums, but for what is about the one that is worst off."""
    meters = Meters()
    measures = Measures(meters)
    for name, stats in (("a", IDLE), ("b", BUSY), ("c", FENCED)):
        measures.add(Fake(name, stats))
    assert told(meters) == {
        "ids_held": 1_590,
        "ids_per_s": 20.0,
        "covered_s": 9.0,
        "refill_latency_s": 0.02,
        "leases": 4,
        "waits": 6,
        "ids_wasted": 410,
        "fence_jumps": 1,
    }


def test_numbers_are_finite_when_nothing_is_used() -> None:
    """Before there is a sequence, and while none gives ids."""
    meters = Meters()
    measures = Measures(meters)
    assert told(meters)["covered_s"] == MOST_COVERED_S
    measures.add(Fake("a", IDLE))
    assert told(meters)["covered_s"] == MOST_COVERED_S


def test_a_sequence_that_is_asked_for_again_counts_once() -> None:
    """It has one name, however many users take ids of it."""
    meters, clock = Meters(), Time()
    measures = Measures(meters, monotonic=clock)
    for _ in range(3):
        measures.add(Fake("a", BUSY))
    assert told(meters)["ids_held"] == 500


def test_one_look_serves_all_numbers_of_an_export() -> None:
    """Thousands of sequences are not asked once for each number."""
    meters, clock = Meters(), Time()
    measures = Measures(meters, monotonic=clock)
    fake = Fake("a", IDLE)
    measures.add(fake)
    assert told(meters)["waits"] == 0
    fake.now = BUSY
    assert (told(meters)["waits"], fake.looks) == (0, 1)
    clock.now += KEPT_S
    assert (told(meters)["waits"], fake.looks) == (3, 2)


def test_a_sequence_of_the_sdk_can_be_told_of() -> None:
    """What it holds is what it was granted and has not given out."""
    meters = Meters()
    with Sequencer(LocalRangeSource(), create_missing=True) as sequencer:
        sequence = sequencer.sequence("shop.order")
        Measures(meters).add(sequence)
        sequence.next_ids(10)
        numbers = told(meters)
    assert numbers["leases"] >= 1
    assert numbers["ids_held"] > 0
    assert numbers["covered_s"] <= MOST_COVERED_S
