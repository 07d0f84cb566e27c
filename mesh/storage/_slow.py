"""Slow statements are logged and counted; their values never are."""

from __future__ import annotations

from typing import Final

from mesh.log import get_logger
from mesh.telemetry import Meters

TEXT_LIMIT: Final = 2_000
"""Characters of a statement that are logged."""

_log = get_logger(__name__)


class SlowStatements:
    """Notes each statement that took at least `limit_s` seconds.

    Args:
        meters: counts `storage.slow_statements`.
    """

    def __init__(self, limit_s: float, meters: Meters) -> None:
        self.limit_s = limit_s
        self._count = meters.counter("storage.slow_statements")

    def note(self, text: str, seconds: float, rows: int) -> None:
        """Log a statement that was slow.

        Args:
            text: its SQL with placeholders.
            seconds: how long it took.
            rows: those that it answered or changed.
        """
        self._count.add()
        _log.warning(
            "statement_slow", sql=text[:TEXT_LIMIT], duration_ms=round(seconds * 1e3), rows=rows
        )
