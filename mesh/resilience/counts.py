"""The numbers that tell what resilience did in a process."""

from __future__ import annotations

from mesh.telemetry import Meters


class Counts:
    """Counters that all channels of a process share.

    Args:
        meters: where they are read; None: nowhere.
    """

    def __init__(self, meters: Meters | None = None) -> None:
        meters = meters or Meters()
        self.refused = meters.counter("mesh.breaker_refusals")
        self.ejections = meters.counter("mesh.ejections")
        self.retries = meters.counter("mesh.retries")
        self.unaffordable = meters.counter("mesh.retries_refused")
        self.hedges = meters.counter("mesh.hedges")
        self.hedges_won = meters.counter("mesh.hedges_won")
