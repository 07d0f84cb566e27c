"""The verdict of a soak: what grows is found, what moves is not."""

from __future__ import annotations

import pytest

from loadtests.lanes.soak import Soak
from loadtests.lanes.verdict import FEWEST, TOLERANCES, Sample, complaints

FLAT = {
    "resident_bytes": 80 << 20,
    "descriptors": 20,
    "tasks": 10,
    "lanes": 3,
    "calls": 4,
    "blocks": 200,
}


def samples(part: str, growth: float, count: int = 40) -> list[Sample]:
    """A run in which a part of the server grows by `growth` over its length."""
    return [
        Sample(client=FLAT, server={**FLAT, part: FLAT[part] + round(growth * at / count)})
        for at in range(count)
    ]


@pytest.mark.parametrize("part", TOLERANCES)
def test_what_grows_is_not_flat(part: str) -> None:
    """By four times what is tolerated over a run: twice as much between the two quarters."""
    allowed = max(TOLERANCES[part].share * FLAT[part], TOLERANCES[part].number)
    (complaint,) = complaints(samples(part, 4 * allowed))
    assert complaint.startswith("server: ")
    assert complaint.endswith("is not flat")


@pytest.mark.parametrize("part", TOLERANCES)
def test_what_stays_within_the_tolerance_is_flat(part: str) -> None:
    """A run that is warm moves a little, and may shrink."""
    allowed = max(TOLERANCES[part].share * FLAT[part], TOLERANCES[part].number)
    assert complaints(samples(part, allowed)) == []
    assert complaints(samples(part, -allowed)) == []


def test_a_single_peak_does_not_matter() -> None:
    """Medians are compared."""
    peak = Sample(client=FLAT, server={**FLAT, "descriptors": 900})
    assert complaints([*samples("tasks", 0), peak]) == []


def test_few_samples_are_no_proof() -> None:
    """A run that was too short does not pass."""
    (complaint,) = complaints(samples("tasks", 0, FEWEST - 1))
    assert "too few" in complaint


@pytest.mark.slow
async def test_twenty_seconds_of_traffic_are_answered_and_flat() -> None:
    """The short form of `python -m loadtests.lanes.soak`; its memory is not warm by then."""
    wrong = await Soak(20.0, 150.0, seed=7).run()
    assert [text for text in wrong if "resident" not in text] == []
