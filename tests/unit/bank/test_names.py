from __future__ import annotations

import numpy as np
import pytest

from bank.names import Names, canary_names
from bank.stream import Rows, Streams


def test_canary_names_spell_their_number() -> None:
    """Six Chinese digits, so that no name is the beginning of another."""
    names = canary_names(np.array([1, 20, 50_000])).to_pylist()
    assert names == ["金丝雀〇〇〇〇〇一", "金丝雀〇〇〇〇二〇", "金丝雀〇五〇〇〇〇"]


def test_no_canaries_have_no_names() -> None:
    """A block without canaries is a block."""
    assert canary_names(np.array([], dtype=np.int64)).to_pylist() == []


def test_given_names_of_one_character_have_their_share() -> None:
    """Two characters in all, unless the surname has two itself."""
    names = Names(Streams(1), 0.15).column("customer", Rows(1, 20_000)).to_pylist()
    assert {len(name) for name in names} == {2, 3, 4}
    assert sum(len(name) == 2 for name in names) / len(names) == pytest.approx(0.15, abs=0.01)


def test_people_of_different_kinds_have_different_names() -> None:
    """The first customer is not named as the first member of staff."""
    names = Names(Streams(1), 0.15)
    customers, staff = (names.column(kind, Rows(1, 50)) for kind in ("customer", "staff"))
    assert customers != staff
