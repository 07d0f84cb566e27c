"""Workers, as the service leases them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.errors import MeshError
from sequencer.definition import Caller, Kind, State
from sequencer.errors import SequencerReason
from sequencer.sdk import SequenceExhausted, SequencerError, SequencerUnavailable
from sequencer.sdk.layout import Layout
from sequencer.snowflake.errors import WorkerReason
from sequencer.snowflake.service import Asked, Held, Lease
from tests.unit.sequencer.snowflake.servers import Server, definition
from tests.unit.sequencer.snowflake.worlds import NAME, Client

SHOP = Asked(name=NAME, holder="mesh:shop/a", is_believed=True)
OTHER = replace(SHOP, holder="mesh:shop/b")


def held(lease: Lease) -> Held:
    return Held(
        worker_id=lease.window.worker_id,
        token=lease.window.token,
        until_tick=lease.window.until_tick,
        now_tick=lease.moment.tick,
    )


async def test_each_process_has_a_worker_of_its_own() -> None:
    """The lowest that is free."""
    server = Server()

    leases = [await server.workers.acquire(SHOP, window_s=90) for _ in range(3)]

    assert [lease.window.worker_id for lease in leases] == [0, 1, 2]
    assert len({lease.window.token for lease in leases}) == 3


async def test_only_its_holder_renews_a_worker() -> None:
    """Neither another client nor an old token; the holder's window is untouched by the try."""
    server = Server()
    lease = await server.workers.acquire(SHOP, window_s=90)

    for asked, proof in ((OTHER, held(lease)), (SHOP, replace(held(lease), token=77))):
        with pytest.raises(MeshError) as refused:
            await server.workers.renew(replace(asked, is_believed=False), proof, window_s=900)
        assert refused.value.reason is WorkerReason.WORKER_LOST
    renewed = await server.workers.renew(SHOP, held(lease), window_s=120)
    assert renewed.window.until_tick == lease.window.from_tick + 120_000


async def test_a_released_worker_is_leased_to_the_next() -> None:
    """From the tick where its holder stopped; releasing it again does nothing."""
    server = Server()
    lease = await server.workers.acquire(SHOP, window_s=90)
    used = lease.window.from_tick + 5

    for released in (True, False):
        assert released is await server.workers.release(
            SHOP, worker_id=0, token=lease.window.token, next_tick=used
        )

    next_one = await server.workers.acquire(OTHER, window_s=90)
    assert (next_one.window.worker_id, next_one.window.from_tick) == (0, used)


async def test_an_id_tells_who_made_it() -> None:
    """Its window, present or past; no window for an id that nobody can have made."""
    server = Server()
    first = await server.workers.acquire(SHOP, window_s=90)
    server.wall.step(100)
    second = await server.workers.acquire(OTHER, window_s=90)
    layout = Layout()

    def made_in(tick: int) -> int:
        return layout.block(tick, 0)[1]

    then = await server.workers.holder_of(NAME, made_in(first.window.from_tick))
    now = await server.workers.holder_of(NAME, made_in(second.window.from_tick))
    between = await server.workers.holder_of(NAME, made_in(first.window.until_tick + 1))

    assert then.window == first.window
    assert now.window == second.window
    assert between.window is None
    assert (then.parts.worker_id, then.parts.sequence) == (0, 1)
    with pytest.raises(MeshError):
        await server.workers.holder_of(NAME, -1)


async def test_past_windows_are_kept_as_long_as_the_sequence_says() -> None:
    """Older ones are forgotten when their worker is leased again."""
    server = Server()
    server.names.sequence = definition(retention_days=1)
    first = await server.workers.acquire(SHOP, window_s=90)
    for _ in range(2):
        server.wall.step(86_400 + 1_000)
        await server.workers.acquire(SHOP, window_s=90)

    id_ = Layout().block(first.window.from_tick, 0)[0]
    assert (await server.workers.holder_of(NAME, id_)).window is None


async def test_an_old_copy_of_the_store_is_jumped_over_by_the_journal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server's own journal knows of windows that the store lacks: alarm, and a jump."""
    server = Server()
    copy = server.store.backup()
    lost = await server.workers.acquire(SHOP, window_s=90)
    server.store.restore(copy)

    after = await server.workers.acquire(OTHER, window_s=90)

    assert after.window.worker_id == lost.window.worker_id
    assert after.window.from_tick >= lost.window.until_tick
    assert caplog.messages == ["worker_store_behind"]
    assert server.meters.counters["sequencer.fence_jumps"].value == 1


async def test_an_old_copy_of_the_store_is_jumped_over_by_a_client() -> None:
    """A service that holds a window which the store lacks is believed; a user is not."""
    server = Server()
    copy = server.store.backup()
    lost = await server.workers.acquire(SHOP, window_s=90)
    server.store.restore(copy)
    server.journal.witnesses.clear()
    user = replace(SHOP, is_believed=False)

    for asked, jumps in ((user, 0), (SHOP, 1)):
        with pytest.raises(MeshError) as refused:
            await server.workers.renew(asked, held(lost), window_s=90)
        assert refused.value.reason is WorkerReason.WORKER_LOST
        assert server.meters.counters["sequencer.fence_jumps"].value == jumps

    after = await server.workers.acquire(OTHER, window_s=90)
    assert after.window.from_tick >= lost.window.until_tick


def test_a_holder_that_an_old_copy_remembers_does_not_go_on() -> None:
    """It lost its worker to another one since; the copy has forgotten that, and says it is its."""
    server = Server()
    cut_off, other = Client(server, "cut-off"), Client(server, "other")
    cut_off.tend()
    copy = server.store.backup()
    for world in (cut_off.clock, other.clock, server.wall):
        world.step(91)
    other.tend()
    theirs = set(other.take(50))

    server.store.restore(copy)
    cut_off.tend()

    assert cut_off.minter.workers == 2
    assert theirs.isdisjoint(cut_off.take(50))
    other.tend()
    assert other.minter.workers == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": Kind.SEGMENT, "layout": None}, SequencerReason.KIND_MISMATCH),
        ({"state": State.DRAINING}, SequencerReason.SEQUENCE_CLOSED),
        ({"callers": (Caller(name="mesh:bank"),)}, SequencerReason.CALLER_NOT_ALLOWED),
    ],
)
async def test_who_may_not_take_ids_gets_no_worker(
    changes: dict[str, object], reason: SequencerReason
) -> None:
    """Another kind, a sequence that is closed, a sequence for others."""
    server = Server()
    server.names.sequence = definition()
    server.names.sequence = replace(server.names.sequence, **changes)  # type: ignore[arg-type]

    with pytest.raises(MeshError) as refused:
        await server.workers.acquire(SHOP, window_s=90)

    assert refused.value.reason is reason


async def test_a_draining_sequence_takes_workers_back() -> None:
    """But it extends no window, so that its last id has a known time."""
    server = Server()
    lease = await server.workers.acquire(SHOP, window_s=90)
    server.names.sequence = definition(state=State.DRAINING)

    with pytest.raises(MeshError):
        await server.workers.renew(SHOP, held(lease), window_s=90)
    assert await server.workers.release(SHOP, worker_id=0, token=lease.window.token, next_tick=0)


async def test_days_left_are_told_years_ahead(caplog: pytest.LogCaptureFixture) -> None:
    """By a gauge always, by a warning in the last three years."""
    server = Server(layout=Layout(time_bits=36))

    await server.workers.acquire(SHOP, window_s=90)

    assert server.meters.gauges["sequencer.snowflake_days_left"]() == 466
    assert caplog.messages == ["snowflake_time_runs_out"]
    assert (await server.workers.layout(NAME))[1] == 466


def test_a_clock_that_was_far_ahead_for_a_while_is_alarmed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Windows stay where they are; ids go on with other workers, until there are none."""
    server = Server(layout=Layout(worker_bits=1))
    ahead, after = Client(server, "ahead"), Client(server, "after")
    server.wall.step(10 * 86_400)
    ahead.tend()
    server.wall.step(-10 * 86_400)

    after.tend()

    assert caplog.messages == ["snowflake_clock_behind"]
    assert after.take(1)[0] < ahead.take(1)[0]
    with pytest.raises(SequencerUnavailable, match="WORKERS_EXHAUSTED"):
        Client(server, "third").tend()
    server.wall.step(-10 * 86_400)
    with pytest.raises(SequencerError, match="CLOCK_BEHIND"):
        Client(server, "fourth").tend()


def test_the_end_of_the_time_bits_is_told_to_clients() -> None:
    """They stop; nothing becomes negative and no bit goes into the worker id."""
    layout = Layout(time_bits=36)
    server = Server(layout=layout)
    client = Client(server)
    server.wall.step(layout.days_left(layout.tick_at(server.wall())) * 86_400)
    while True:
        try:
            client.tend()
        except SequenceExhausted:
            break
        assert all(0 <= id_ < 1 << layout.bits for id_ in client.take(5))
        client.clock.step(90)
        server.wall.step(90)
