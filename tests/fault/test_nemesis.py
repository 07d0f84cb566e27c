"""The nemesis repeats itself by its seed, and heals what it hurt."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path

import pytest

from tests.fault import Fault, History, Nemesis
from tests.fault.history import faults


class Lamp:
    """A victim that counts."""

    def __init__(self) -> None:
        self.hurt = 0
        self.healed = 0
        self.twice = threading.Event()

    def fault(self, name: str) -> Fault:
        return Fault(name=name, begin=self.begin, end=self.end)

    def begin(self) -> None:
        self.hurt += 1
        if self.hurt == 2:
            self.twice.set()

    def end(self) -> None:
        self.healed += 1


def nemesis(lamp: Lamp, history: History, seed: int = 7) -> Nemesis:
    faults = [lamp.fault("kill a"), lamp.fault("kill b"), lamp.fault("kill c")]
    return Nemesis(faults, seed=seed, history=history, every_s=(0.0, 0.01), for_s=(0.0, 0.01))


def test_the_same_seed_gives_the_same_schedule(tmp_path: Path) -> None:
    """A failure can be repeated; another seed looks elsewhere."""
    history, lamp = History(tmp_path / "h"), Lamp()
    schedules = [
        [
            (s.wait_s, s.fault.name, s.for_s)
            for s in islice(nemesis(lamp, history, seed).schedule(), 50)
        ]
        for seed in (7, 7, 8)
    ]
    assert schedules[0] == schedules[1] != schedules[2]


def test_all_is_healed_when_it_is_left(tmp_path: Path) -> None:
    """Every fault that began has ended, and the history has them."""
    lamp = Lamp()
    with History(tmp_path / "h") as history, nemesis(lamp, history):
        assert lamp.twice.wait(10)
    assert lamp.hurt == lamp.healed >= 2
    assert len(faults(tmp_path / "h")) == 2 * lamp.hurt


def test_a_fault_that_cannot_be_done_fails_the_test(tmp_path: Path) -> None:
    """A run without its faults proves nothing."""
    tried = threading.Event()

    def fail() -> None:
        tried.set()
        raise OSError("no such process")

    broken = Fault(name="kill", begin=fail, end=lambda: None)
    with (
        History(tmp_path / "h") as history,
        pytest.raises(OSError, match="no such process"),
        Nemesis([broken], seed=1, history=history, every_s=(0, 0)),
    ):
        assert tried.wait(10)
