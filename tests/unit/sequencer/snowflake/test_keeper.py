"""One thread keeps all workers of a client leased, through outages of the source too."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from sequencer.sdk import (
    Layout,
    LocalRangeSource,
    LocalWorkerSource,
    Sequencer,
    SequencerError,
    SequencerUnavailable,
    Tenancy,
    Worker,
    WorkerLost,
    WorkerRequest,
)
from tests.unit.sequencer.snowflake.worlds import NAME


class Counted(LocalWorkerSource):
    """A source that counts, and can be away or faulty."""

    def __init__(self) -> None:
        super().__init__()
        self.create(NAME, Layout())
        self.trouble: Exception | None = None
        self.renewals = 0
        self.releases = 0
        self.threads: set[str] = set()

    def acquire(self, request: WorkerRequest, *, timeout_s: float) -> Worker:
        self._meet()
        return super().acquire(request, timeout_s=timeout_s)

    def renew(self, tenancy: Tenancy, window_s: float, *, timeout_s: float) -> Worker:
        self._meet()
        self.renewals += 1
        return super().renew(tenancy, window_s, timeout_s=timeout_s)

    def release(self, tenancy: Tenancy, next_tick: int, *, timeout_s: float) -> None:
        self._meet()
        self.releases += 1
        super().release(tenancy, next_tick, timeout_s=timeout_s)

    def _meet(self) -> None:
        self.threads.add(threading.current_thread().name)
        if self.trouble is not None:
            raise self.trouble


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something is so, for as long as a busy machine may take."""
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.01)


def client(source: LocalWorkerSource, **settings: float) -> Sequencer:
    return Sequencer(LocalRangeSource(), workers=source, **{"timeout_s": 30, **settings})  # type: ignore[arg-type]


def test_workers_are_renewed_in_the_background() -> None:
    """Ids go on beyond the first window with the same worker, and nobody asks or waits."""
    source = Counted()
    with client(source, survive_s=0.1) as sequencer:
        events = sequencer.snowflake(NAME)
        ids, waits = [events.next_id()], events.stats().waits
        eventually(lambda: source.renewals >= 4)
        ids.append(events.next_id())

        assert (events.stats().workers, events.stats().waits) == (1, waits)
        assert {Layout().decode(id_).worker_id for id_ in ids} == {0}


def test_entering_leases_a_worker_ahead() -> None:
    """So that the first id waits for nobody."""
    source = Counted()
    with client(source) as sequencer:
        events = sequencer.snowflake(NAME)
        eventually(lambda: events.stats().workers == 1)
        events.next_id()

        assert events.stats().waits == 0
    assert source.releases == 1


def test_one_thread_serves_hundreds_of_sequences() -> None:
    """None of them has a thread of its own."""
    source = Counted()
    names = [f"shop.event_{number}" for number in range(300)]
    for name in names:
        source.create(name, Layout())
    with client(source) as sequencer:
        ids = {name: sequencer.snowflake(name).next_id() for name in names}
        running = [one.name for one in threading.enumerate() if one.name == "sequencer-workers"]

    assert len(ids) == 300
    assert running == ["sequencer-workers"]
    assert source.releases == 300


def test_an_outage_shorter_than_the_window_is_not_noticed() -> None:
    """And one that is longer stops the ids, until the source is back: by itself."""
    source = Counted()
    with client(source, survive_s=1, timeout_s=0.05) as sequencer:
        events = sequencer.snowflake(NAME)
        eventually(lambda: events.stats().workers == 1)
        source.trouble = SequencerUnavailable("away")
        events.next_id()
        eventually(lambda: events.stats().covered_s == 0)
        with pytest.raises(WorkerLost, match="away"):
            events.next_id()
        source.trouble = None
        eventually(lambda: events.stats().covered_s > 0)

        assert events.next_id() > 0


def test_a_faulty_source_ends_neither_the_thread_nor_the_sequence() -> None:
    """Its users are told; later it works."""
    source = Counted()
    source.trouble = ZeroDivisionError()
    with client(source) as sequencer:
        events = sequencer.snowflake(NAME)
        with pytest.raises(SequencerError, match="ZeroDivisionError"):
            events.next_id()
        source.trouble = None

        def works() -> bool:
            try:
                return events.next_id() > 0
            except SequencerError:
                return False

        eventually(works)


def test_a_close_during_an_outage_ends() -> None:
    """The worker is free when its window has ended; nobody waits for that."""
    source = Counted()
    sequencer = client(source)
    sequencer.snowflake(NAME).next_id()
    source.trouble = SequencerUnavailable("away")

    sequencer.close()

    assert source.releases == 0
    with pytest.raises(SequencerError, match="closed"):
        sequencer.snowflake(NAME)


GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent
from sequencer.sdk import LocalRangeSource, Sequencer

with Sequencer(LocalRangeSource(), create_missing=True, timeout_s=30) as sequencer:
    next_id = sequencer.snowflake("shop.event").next_id

    def work():
        ids = []
        for _ in range(100):
            ids += [next_id() for _ in range(100)]
            gevent.sleep(0)
        return ids

    jobs = [gevent.spawn(work) for _ in range(8)]
    gevent.joinall(jobs, raise_error=True)
    taken = [id_ for job in jobs for id_ in job.value]
    assert len(set(taken)) == len(taken) == 80_000
"""


def test_greenlets_share_a_sequence() -> None:
    """Under gevent's patches the thread is a greenlet, and waits let others run."""
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", GEVENT], capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stderr
