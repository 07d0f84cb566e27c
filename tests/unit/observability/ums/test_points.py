"""The table of newest points and its bounds."""

from __future__ import annotations

from mesh.clock import ManualClock
from observability.ums.points import SILENT_S, Kind, PointTable, Process, Series

ONE, TWO = Process("customer", "one"), Process("customer", "two")


def series(name: str, **attributes: str) -> Series:
    return Series(name, Kind.COUNTER, "", tuple(sorted(attributes.items())))


def test_the_newest_value_of_a_series_stays() -> None:
    """Points are cumulative, so the last one says it all."""
    table = PointTable(ManualClock())
    table.update(ONE, {series("made"): 1.0, series("sold"): 1.0})
    table.update(ONE, {series("made"): 2.0})
    assert table.read() == [(ONE, series("made"), 2.0), (ONE, series("sold"), 1.0)]


def test_processes_and_attributes_are_told_apart() -> None:
    """The same name from two instances is two series."""
    table = PointTable(ManualClock())
    table.update(ONE, {series("made", kind="a"): 1.0, series("made", kind="b"): 2.0})
    table.update(TWO, {series("made", kind="a"): 3.0})
    assert [value for _, _, value in table.read()] == [1.0, 2.0, 3.0]


def test_new_series_beyond_the_bound_are_refused_and_known_ones_go_on() -> None:
    """A process that invents names cannot fill the memory or silence the others."""
    table = PointTable(ManualClock(), max_points=2)
    assert table.update(ONE, {series("a"): 1.0, series("b"): 1.0}) == 0
    assert table.update(TWO, {series("a"): 1.0, series("b"): 1.0}) == 2
    assert table.update(ONE, {series("a"): 5.0}) == 0
    assert [value for _, _, value in table.read()] == [5.0, 1.0]


def test_a_silent_process_is_forgotten_and_makes_room() -> None:
    """What ended must not be shown as if it went on."""
    clock = ManualClock()
    table = PointTable(clock, max_points=1)
    table.update(ONE, {series("a"): 1.0})
    clock.advance(SILENT_S)
    assert len(table.read()) == 1
    clock.advance(0.1)
    assert table.read() == []
    assert table.update(TWO, {series("a"): 2.0}) == 0
