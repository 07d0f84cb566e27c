"""Canaries: customers whose data is recognised wherever it should not be."""

from __future__ import annotations

import numpy as np

from bank.config import Plan
from bank.stream import Integers, Rows, Streams


class Canaries:
    """Which customers of a bank are canaries.

    The ids are cut into as many equal stretches as there are canaries, and each
    stretch holds one at a random place: canary 1 in the first stretch, and so on.
    """

    def __init__(self, plan: Plan, streams: Streams) -> None:
        config = plan.config
        self._customers = plan.customers
        self._streams = streams
        self.count = max(config.fewest_canaries, plan.customers // config.canary_every)

    def numbers(self, rows: Rows) -> Integers:
        """The canary number of each customer, 0 for those who are none."""
        first = (rows.first - 1) * self.count // self._customers
        last = (rows.first + rows.count - 2) * self.count // self._customers
        candidates = Rows(first, last - first + 1)
        places = self._ids(candidates) - rows.first
        inside = (places >= 0) & (places < rows.count)
        numbers = np.zeros(rows.count, dtype=np.int64)
        numbers[places[inside]] = candidates.ids[inside] + 1
        return numbers

    def _ids(self, stretches: Rows) -> Integers:
        bounds = np.arange(stretches.first, stretches.first + stretches.count + 1, dtype=np.int64)
        starts = -(-bounds * self._customers // self.count) + 1
        place = self._streams.uniforms("customer.canary", stretches)
        return starts[:-1] + (place * np.diff(starts)).astype(np.int64)
