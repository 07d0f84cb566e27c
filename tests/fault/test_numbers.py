"""Numbers that are used and said not to be, or of which nothing is said, are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.sequencer.v1 import gapless_pb2 as pb
from tests.fault.numbers import Report, unaccounted
from tests.fault.ranges import Taken, Takings


def taken(folder: Path, *ranges: range) -> Taken:
    with Takings(folder / "a.ids") as takings:
        for ids in ranges:
            takings.note(1, [ids])
    return Taken.read([folder / "a.ids"])


def gap(first: int, last: int, state: str) -> pb.NumberRun:
    return pb.NumberRun(
        first=first,
        last=last,
        size=last - first + 1,
        state=pb.NumberState.Value(f"NUMBER_STATE_{state}"),
    )


def report(confirmed: int, *gaps: pb.NumberRun) -> Report:
    counts = {int(pb.NUMBER_STATE_CONFIRMED): confirmed}
    for run in gaps:
        counts[run.state] = counts.get(run.state, 0) + run.size
    return Report(counts=counts, gaps=gaps)


def test_numbers_that_are_accounted_for_are_right(tmp_path: Path) -> None:
    """Used, free, void, or in doubt though they were used."""
    used = taken(tmp_path, range(1, 4), range(6, 8))
    told = report(3, gap(4, 4, "RELEASED"), gap(5, 5, "VOID"), gap(6, 7, "LOST_TRACK"))

    assert unaccounted(used, told) == []


@pytest.mark.parametrize("state", ["RESERVED", "EXPIRED", "RELEASED", "VOID"])
def test_a_used_number_that_may_be_reissued_is_wrong(tmp_path: Path, state: str) -> None:
    """Or that nobody may use."""
    used = taken(tmp_path, range(1, 6))

    assert unaccounted(used, report(4, gap(3, 3, state)))[0] == (
        f"used, and NUMBER_STATE_{state}: 3 to 3"
    )


def test_a_number_that_the_report_does_not_know_is_wrong(tmp_path: Path) -> None:
    """More are used than were issued, or than are confirmed."""
    used = taken(tmp_path, range(1, 6))

    assert "used up to 5, and 3 issued" in unaccounted(used, report(3))
    assert "5 used, and 4 said to be used or in doubt" in unaccounted(
        used, report(4, gap(9, 10, "RELEASED"))
    )


def test_a_count_that_its_runs_do_not_bear_out_is_wrong(tmp_path: Path) -> None:
    """The report counts what it does not tell of."""
    told = Report(counts={pb.NUMBER_STATE_CONFIRMED: 1, pb.NUMBER_STATE_RELEASED: 2}, gaps=[])

    assert unaccounted(taken(tmp_path, range(1, 2)), told) == [
        "3 issued, of which the report tells of 0"
    ]
