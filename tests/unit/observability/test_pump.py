"""The thread that sends: what it keeps, drops, counts and says, collector or not."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource

from mesh.clock import Clock, ManualClock, SystemClock
from mesh.telemetry import Counter, SpanKind
from observability.exporter import OtlpExporter
from observability.pump import BATCH, MAX_WAITING, TELL_EVERY_S, Pump
from observability.tracing import OtelTracer

NOBODY = "127.0.0.1:1"


def no_metrics() -> MetricsData:
    return MetricsData(resource_metrics=[])


class Sending:
    """A pump towards `target`, with a tracer that feeds it."""

    def __init__(
        self,
        target: str | None,
        metrics: Callable[[], MetricsData] = no_metrics,
        clock: Clock | None = None,
    ) -> None:
        self.target = target
        self.clock = clock or ManualClock()
        self.dropped = Counter()
        exporter = OtlpExporter(lambda: self.target, tuple)
        self.pump = Pump(exporter, Resource({}), metrics, self.dropped, self.clock)
        self._tracer = OtelTracer(self.pump.put, ratio=1.0)

    def end_spans(self, count: int) -> None:
        root = self._tracer.root()
        for _ in range(count):
            with self._tracer.span("step", SpanKind.INTERNAL, root):
                pass


@pytest.fixture
def silent_collector() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_without_a_collector_spans_wait_for_one() -> None:
    """What a process tells while the UMS still starts is not lost."""
    sending = Sending(None)
    sending.end_spans(3)
    sending.pump.send_spans()
    assert sending.dropped.value == 0


def test_waiting_spans_are_bounded_and_the_overflow_is_counted() -> None:
    """Memory does not grow with the length of an outage."""
    sending = Sending(None)
    sending.end_spans(MAX_WAITING + 5)
    assert sending.dropped.value == 5


def test_what_a_collector_does_not_take_is_dropped_and_counted() -> None:
    """One batch is given up at a time, so that an outage is probed rather than hammered."""
    sending = Sending(NOBODY)
    sending.end_spans(BATCH + 1)
    sending.pump.send_spans()
    assert sending.dropped.value == BATCH
    sending.pump.send_spans()
    assert sending.dropped.value == BATCH + 1


def test_an_outage_is_told_once_a_minute_and_not_as_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log of a service is not about the absence of another."""
    caplog.set_level(logging.DEBUG, logger="engine")
    clock = ManualClock()
    sending = Sending(NOBODY, clock=clock)
    for _ in range(3):
        sending.end_spans(1)
        sending.pump.send_spans()
    clock.advance(TELL_EVERY_S)
    sending.end_spans(1)
    sending.pump.send_spans()
    ours = [record for record in caplog.records if record.name.startswith("engine")]
    assert [record.getMessage() for record in ours] == ["telemetry_dropped"] * 2
    assert {record.levelno for record in ours} == {logging.INFO}


def test_closing_without_a_collector_counts_what_was_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A process can stop while the UMS is away, and says so at most once."""
    caplog.set_level(logging.INFO, logger="engine")
    sending = Sending(None)
    sending.pump.start()
    sending.end_spans(3)
    sending.pump.close()
    assert sending.dropped.value == 3
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_closing_does_not_wait_for_a_collector_that_does_not_answer(
    silent_collector: str,
) -> None:
    """The bound on closing holds whatever hangs at the other end."""
    sending = Sending(silent_collector, clock=SystemClock())
    sending.pump.start()
    sending.end_spans(3)
    sending.pump.close()
    assert sending.dropped.value == 3


def test_a_gauge_that_raises_does_not_end_the_thread() -> None:
    """Telemetry fails softly, and tells."""

    def broken() -> MetricsData:
        raise ZeroDivisionError

    sending = Sending(NOBODY, broken)
    sending.pump.start()
    sending.end_spans(3)
    sending.pump.close()
    assert sending.dropped.value == 3
