"""What other makers of time-ordered ids got wrong, each as a test that ours passes.

The numbers are those of the list of failures: 3 CosId, 4 uid-generator, 5
snowflake-id-toolkit and snowflake-id.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from sequencer.sdk import (
    Layout,
    LocalRangeSource,
    LocalWorkerSource,
    SequenceEmpty,
    SequenceExhausted,
    Sequencer,
    SequencerError,
    WorkerLost,
)
from tests.unit.sequencer.snowflake.servers import Server
from tests.unit.sequencer.snowflake.worlds import NAME, Client

YEAR_S = 365 * 86_400
TWENTY_EIGHT_BITS = Layout(
    time_bits=28,
    worker_bits=22,
    sequence_bits=13,
    tick_ms=1_000,
    epoch=datetime(2016, 5, 20, tzinfo=UTC),
)
"""The default of uid-generator: its time ended on 2024-11-20."""


def test_3_issuing_stops_when_the_worker_is_lost() -> None:
    """CosId goes on with a machine id that another node holds five minutes later. Ours stops."""
    server = Server()
    cut_off, other = Client(server, "cut-off"), Client(server, "other")
    cut_off.tend()
    ids = cut_off.take(10)

    for world in (cut_off.clock, server.wall):
        world.step(300)  # it reaches nobody meanwhile
    with pytest.raises(WorkerLost):
        cut_off.minter.next_id()
    other.tend()
    theirs = other.take(10)

    assert other.minter.held()[0].worker_id == 0, "the same worker, by now another's"  # type: ignore[union-attr]
    assert set(ids).isdisjoint(theirs)
    cut_off.tend()
    assert set(theirs).isdisjoint(cut_off.take(10))


def test_3_a_process_that_is_frozen_past_its_lease_makes_no_foreign_id() -> None:
    """Held up between the look at the clock and the id: what it makes is still its own."""
    server = Server()
    frozen, other = Client(server, "frozen"), Client(server, "other")
    frozen.tend()
    frozen.take(1)
    between = frozen.minter._tick.live

    server.wall.step(300)
    other.tend()
    theirs = set(other.take(4_096 * 5))

    assert theirs.isdisjoint(between)


def test_4_the_end_of_the_time_bits_is_refused_and_not_negative() -> None:
    """uid-generator's default ran out in production, and its ids became negative."""
    server = Server(layout=TWENTY_EIGHT_BITS)
    server.wall.now = TWENTY_EIGHT_BITS.epoch + timedelta(seconds=2**28 - 30)
    client = Client(server)
    client.tend()
    last = client.take(5)
    assert all(0 < id_ < 2**63 for id_ in last)

    for world in (client.clock, server.wall):
        world.step(31)
    with pytest.raises(SequenceExhausted, match="LAYOUT_EXHAUSTED"):
        client.tend()
    with pytest.raises(SequencerError):
        client.minter.next_id()


def test_4_the_end_of_the_time_bits_is_told_years_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two years ahead each lease warns, and tells how many days are left."""
    server = Server(layout=TWENTY_EIGHT_BITS)
    end = TWENTY_EIGHT_BITS.epoch + timedelta(seconds=2**28)
    server.wall.now = end - timedelta(days=2 * 365)

    Client(server).tend()

    assert "snowflake_time_runs_out" in caplog.messages
    assert server.meters.gauges["sequencer.snowflake_days_left"]() == 2 * 365


def test_4_no_call_is_refused_while_ids_are_used_faster_than_time() -> None:
    """uid-generator refuses 0.5-1.3 % of calls outright. Ours wait for the next tick."""
    with Sequencer(LocalRangeSource(), create_missing=True, timeout_s=30) as sequencer:
        next_id = sequencer.snowflake(NAME).next_id

        ids = [next_id() for _ in range(50 * 4_096)]

    assert ids == sorted(set(ids))


@pytest.mark.parametrize("sequence_bits", [1, 4])
def test_5_a_tick_that_is_used_up_does_not_spill_into_the_worker(sequence_bits: int) -> None:
    """snowflake-id-toolkit ORs the overflow into the node bits, and makes another node's ids."""
    server = Server(layout=Layout(worker_bits=4, sequence_bits=sequence_bits))
    clients = [Client(server, f"client-{number}") for number in range(16)]
    seen: set[int] = set()
    for number, client in enumerate(clients):
        client.tend()
        ids = client.take(1_000)
        assert {server.names.sequence.layout.decode(id_).worker_id for id_ in ids} == {number}  # type: ignore[union-attr]
        assert seen.isdisjoint(ids)
        seen.update(ids)


def test_5_exhaustion_is_never_none() -> None:
    """snowflake-id answers None when its millisecond is used up. Ours raises on a loop …"""
    server = Server()
    client = Client(server)
    client.tend()
    while True:
        try:
            ids = client.minter.some(10_000)
        except SequenceEmpty:
            break
        assert ids
    assert client.minter.delay_s() < 1


def test_5_exhaustion_waits_in_a_thread() -> None:
    """… and waits in a thread: 30 ticks' worth of ids all come."""
    workers = LocalWorkerSource()
    workers.create(NAME, Layout(time_bits=41, worker_bits=18, sequence_bits=4))
    with Sequencer(LocalRangeSource(), workers=workers, timeout_s=30) as sequencer:
        ids = [sequencer.snowflake(NAME).next_id() for _ in range(30 * 16)]

    assert all(isinstance(id_, int) for id_ in ids)
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("step_s", [-1.0, -300.0, -3_000.0, -10 * YEAR_S, 10 * YEAR_S])
def test_a_clock_that_steps_makes_no_id_twice_and_none_negative(step_s: float) -> None:
    """Others refuse, wait or repeat when the clock steps back. Here no clock needs to be right."""
    server = Server()
    clients = [Client(server, name) for name in "ab"]
    seen: list[int] = []
    for turn in range(4):
        for client in clients:
            with suppress(SequencerError):  # CLOCK_BEHIND: loud, and nothing is issued
                client.tend()
                seen += client.take(20)
            client.clock.step(60)
        server.wall.step(60 if turn % 2 else step_s)

    assert seen
    assert len(set(seen)) == len(seen)
    assert all(0 <= id_ < 2**63 for id_ in seen)
