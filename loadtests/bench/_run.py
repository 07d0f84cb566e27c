"""How figures are measured: alternating pairs, medians, quartiles, and a rule for noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median, quantiles
from time import perf_counter

from loadtests.bench._figure import Direction, Figure

Stretch = Callable[[], float]
"""Measures for `Run.stretch_s` and answers a rate, a time or a size; the unit is the figure's."""

NOISE_LIMIT = 0.25
"""A peer that moves by more than this share between pairs cannot carry a judgement."""

FULL_PAIRS, FULL_STRETCH_S = 5, 1.0
QUICK_PAIRS, QUICK_STRETCH_S = 5, 0.2


class Run:
    """One run of one suite. `stretch_s` is how long each measurement should last."""

    def __init__(self, *, quick: bool = False) -> None:
        self.quick = quick
        self.pairs = QUICK_PAIRS if quick else FULL_PAIRS
        self.stretch_s = QUICK_STRETCH_S if quick else FULL_STRETCH_S

    def ratio(
        self,
        name: str,
        ours: Stretch,
        peer: Stretch,
        *,
        against: str,
        bar: float | None = None,
        direction: Direction | str = Direction.REPORT,
        unit: str = "×",
    ) -> Figure:
        """Ours ÷ peer's, measured in alternating pairs after one uncounted pair.

        It holds when the worse quartile meets the bar and the peer stood still.
        """
        ours(), peer()
        measured = [(ours(), peer()) for _ in range(self.pairs)]
        ratios = [mine / theirs for mine, theirs in measured]
        low, _, high = quantiles(ratios, n=4, method="inclusive")
        direction = Direction(direction)
        moved = _spread([theirs for _, theirs in measured])
        noisy = moved > NOISE_LIMIT
        return Figure(
            name=name,
            value=median(ratios),
            unit=unit,
            against=against,
            bar=bar,
            direction=direction,
            holds=None if noisy else _holds(direction, bar, low, high),
            quartiles=(low, high),
            note=f"noisy: the peer moved by {moved:.0%}" if noisy else "",
        )

    def absolute(
        self,
        name: str,
        measure: Callable[[], float],
        *,
        unit: str,
        bar: float,
        direction: Direction,
        note: str = "",
    ) -> Figure:
        """A figure with a bar of its own, measured as often as a ratio's pairs.

        Between the measurements the calibration loop runs. It holds when the worse
        quartile meets the bar; a miss says "noisy" when the calibration moved.
        """
        pairs = [(measure(), self.rate(_loop)) for _ in range(self.pairs)]
        moved = _spread([speed for _, speed in pairs])
        return self.judged(
            name,
            [value for value, _ in pairs],
            unit=unit,
            bar=bar,
            direction=direction,
            moved=moved,
            note=note,
        )

    def judged(
        self,
        name: str,
        values: Sequence[float],
        *,
        unit: str,
        bar: float,
        direction: Direction,
        moved: float = 0.0,
        note: str = "",
    ) -> Figure:
        """A figure of values measured before; `moved` is by how much the machine did."""
        low, _, high = quantiles(values, n=4, method="inclusive")
        holds = _holds(direction, bar, low, high)
        noisy = not holds and moved > NOISE_LIMIT
        return Figure(
            name=name,
            value=median(values),
            unit=unit,
            bar=bar,
            direction=direction,
            holds=None if noisy else holds,
            quartiles=(low, high),
            note=f"noisy: the calibration loop moved by {moved:.0%}" if noisy else note,
        )

    def report(self, name: str, value: float, unit: str, against: str = "") -> Figure:
        """A figure that nothing is asked of."""
        return Figure(name=name, value=value, unit=unit, against=against)

    def rate(self, batch: Callable[[], int]) -> float:
        """Things a second: calls `batch`, which answers how many it did, for `stretch_s`."""
        done, began = 0, perf_counter()
        while (took := perf_counter() - began) < self.stretch_s:
            done += batch()
        return done / took

    def calibration(self) -> Figure:
        """Speed of a fixed loop in this run, to read absolute figures by."""
        return self.report("calibration loop", self.rate(_loop) / 1e6, "M iterations/s")


def _holds(direction: Direction, bar: float | None, low: float, high: float) -> bool | None:
    if bar is None or direction is Direction.REPORT:
        return None
    return low >= bar if direction is Direction.AT_LEAST else high <= bar


def _spread(values: list[float]) -> float:
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def _loop() -> int:
    total = 0
    for number in range(100_000):
        total += number & 7
    return 100_000
