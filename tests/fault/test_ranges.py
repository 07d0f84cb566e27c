"""The judge of ids finds what is wrong, and nothing in what is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.fault.ranges import Taken, Takings, runs

Row = tuple[int, int, int, int, int]


def taken(*rows: Row) -> Taken:
    """Takings: life, asked at, there at, first id, last id."""
    return Taken(rows=np.array(rows, dtype=np.int64))


RIGHT: Sequence[Row] = ((1, 0, 10, 1, 100), (2, 5, 15, 101, 200), (1, 20, 30, 201, 201))


def test_takings_without_fault_pass_every_judge() -> None:
    """Two takers, whose ranges neither meet nor fall."""
    right = taken(*RIGHT)
    assert right.ids == 201
    assert [*right.doubled(), *right.falling(), *right.out_of_order(), *right.negative()] == []


@pytest.mark.parametrize("again", [(3, 40, 50, 200, 210), (3, 40, 50, 50, 60), (3, 40, 50, 1, 300)])
def test_an_id_given_twice_is_found(again: Row) -> None:
    """Whether ranges meet at an end, or one lies within another."""
    assert taken(*RIGHT, again).doubled()


def test_a_fall_within_a_life_is_found() -> None:
    """One taker's ids rise; those of another life of it may begin lower."""
    assert taken((1, 0, 1, 50, 60), (1, 2, 3, 40, 49)).falling()
    assert not taken((1, 0, 1, 50, 60), (2, 2, 3, 40, 49)).falling()


def test_an_id_below_one_answered_before_is_found() -> None:
    """Asked for after another was answered it must be higher; at the same time it need not."""
    assert taken((1, 0, 10, 50, 60), (2, 11, 12, 40, 49)).out_of_order()
    assert not taken((1, 0, 10, 50, 60), (2, 9, 12, 40, 49)).out_of_order()


def test_what_a_taker_notes_is_read_back(tmp_path: Path) -> None:
    """Over two lives, the second of which was killed in the middle of a line."""
    path = tmp_path / "taker.ids"
    with Takings(path) as first:
        assert first.note(1, [range(1, 4), range(9, 10), range(0)]) == 4
    with Takings(path) as second:
        second.note(2, [range(20, 30)])
    with path.open("ab") as file:
        file.write(b"17 18 40 41")
    read = Taken.read([path])
    assert read.ids == 14
    assert read.rows[:, [0, 3, 4]].tolist() == [[1, 1, 3], [1, 9, 9], [2, 20, 29]]


def test_single_ids_become_runs() -> None:
    """Neighbours share a range; order is kept."""
    assert runs([1, 2, 3, 7, 9, 10]) == [range(1, 4), range(7, 8), range(9, 11)]
    assert runs([]) == []
