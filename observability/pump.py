"""The thread that sends what a process has to tell.

One thread carries spans and metrics, so that a process pays for one; the SDK's
own processors run one each, log a warning when they overflow and may take half
a minute to close. Here nothing waits for the collector: what it does not take is
dropped and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource

from mesh.clock import Clock, SystemClock
from mesh.log import get_logger
from mesh.telemetry import Counter
from observability.exporter import OtlpExporter
from observability.tracing import RecordedSpan

BATCH: Final = 512
"""Spans of one export; as many waiting are sent at once."""

MAX_WAITING: Final = 8 * BATCH
"""Finished spans kept until they are sent; further ones push the oldest out."""

SPANS_EVERY_S: Final = 1.0
METRICS_EVERY_S: Final = 5.0
SEND_TIMEOUT_S: Final = 2.0
CLOSE_S: Final = 2.0
"""The longest that `close` takes, whatever the collector does."""
_MARGIN_S: Final = 0.2

TELL_EVERY_S: Final = 60.0
"""Least time between two log lines about what was dropped."""

_log = get_logger(__name__)


class Pump:
    """Takes finished spans, reads metrics, and sends both.

    Args:
        exporter: sends; used by the pump's thread alone.
        resource: what the spans are told to come from.
        metrics: reads the numbers as they stand; asked in the pump's thread.
        dropped: counts the spans that were never sent.
    """

    def __init__(
        self,
        exporter: OtlpExporter,
        resource: Resource,
        metrics: Callable[[], MetricsData],
        dropped: Counter,
        clock: Clock | None = None,
    ) -> None:
        self._exporter = exporter
        self._resource = resource
        self._metrics = metrics
        self._dropped = dropped
        self._clock = clock or SystemClock()
        self._waiting: deque[RecordedSpan] = deque(maxlen=MAX_WAITING)
        self._wake = threading.Event()
        self._close_by: float | None = None
        self._tell_at = self._metrics_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin to send. After the fork: threads do not survive one."""
        self._thread.start()

    def put(self, span: RecordedSpan) -> None:
        """Take a finished span. Never waits."""
        waiting = self._waiting
        if len(waiting) == MAX_WAITING:
            self._dropped.add()
        waiting.append(span)
        if len(waiting) == BATCH:
            self._wake.set()

    def close(self) -> None:
        """Send what is waiting, for at most `CLOSE_S` seconds, and stop. Blocks."""
        self._close_by = self._clock.monotonic() + CLOSE_S - _MARGIN_S
        self._wake.set()
        self._thread.join(CLOSE_S)

    def send_spans(self) -> None:
        """Send waiting spans until none is left or the collector fails."""
        while self._waiting and self._exporter.has_target():
            count = min(BATCH, len(self._waiting))
            batch = [self._waiting.popleft().readable(self._resource) for _ in range(count)]
            if not self._exporter.spans(batch, timeout_s=self._timeout_s()):
                self._drop(count)
                return

    def send_metrics(self) -> None:
        """Send the numbers; when the collector is away, the next time will do."""
        if self._exporter.has_target():
            self._exporter.metrics(self._metrics(), timeout_s=self._timeout_s())

    def _run(self) -> None:
        while self._close_by is None:
            self._wake.wait(SPANS_EVERY_S)
            self._wake.clear()
            self._guarded(self.send_spans)
            now = self._clock.monotonic()
            if now >= self._metrics_at:
                self._metrics_at = now + METRICS_EVERY_S
                self._guarded(self.send_metrics)
        self._guarded(self.send_spans)
        self._guarded(self.send_metrics)
        if self._waiting:
            self._drop(len(self._waiting))
        self._exporter.close()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the boundary of this thread
            self._tell("telemetry_failed", error=type(error).__name__, exc_info=error)

    def _timeout_s(self) -> float:
        if self._close_by is None:
            return SEND_TIMEOUT_S
        return max(0.0, min(SEND_TIMEOUT_S, self._close_by - self._clock.monotonic()))

    def _drop(self, count: int) -> None:
        self._dropped.add(count)
        self._tell("telemetry_dropped", spans=self._dropped.value)

    def _tell(self, event: str, **values: object) -> None:
        now = self._clock.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + TELL_EVERY_S
            _log.info(event, **values)
