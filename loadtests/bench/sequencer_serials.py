"""Serials against what one would write by hand for the same text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from itertools import repeat
from typing import TYPE_CHECKING, Final

from loadtests.bench._figure import Direction
from sequencer.sdk import LocalRangeSource, Sequencer
from sequencer.sdk.serial import Reset, SerialFormat

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run

TEMPLATE: Final = "LN{date:%Y%m%d}{number:08}{check:luhn}"
DAY: Final = date(2026, 11, 26)
BATCH: Final = 10_000
DOUBLED: Final = str.maketrans("0123456789", "0246813579")


def serial_figures(run: Run) -> Iterator[Figure]:
    """Serials with a date and a check digit; the number comes from a sequence on both sides."""
    made = SerialFormat.parse(TEMPLATE, zone="UTC", reset=Reset.DAY)
    with Sequencer(LocalRangeSource(), create_missing=True) as sequencer:
        serials = sequencer.serial("bench.serial", made)
        next_id = sequencer.sequence("bench.number").next_id
        first = serials.next(DAY)
        if first != _by_hand(made.read(first).number):
            raise RuntimeError("both sides must write the same")

        def ours() -> float:
            return run.rate(lambda: _repeated(lambda: serials.next(DAY)))

        yield run.ratio(
            "serial with date and check digit ÷ f-string",
            ours,
            lambda: run.rate(lambda: _repeated(lambda: _by_hand(next_id()))),
            against="an f-string of a constant date, an id, and Luhn in two sums",
            bar=0.6,
            direction=Direction.AT_LEAST,
        )
        yield run.report("… serials/s", ours() / 1e6, "M/s")


def _by_hand(number: int) -> str:
    text = f"20261126{number:08}"
    counted = f"2123{text}"  # L and N as in ISO 6166
    total = sum(map(int, counted[-2::-2])) + sum(map(int, counted[::-2].translate(DOUBLED)))
    return f"LN{text}{-total % 10}"


def _repeated(make: Callable[[], str]) -> int:
    for _ in repeat(None, BATCH):
        make()
    return BATCH
