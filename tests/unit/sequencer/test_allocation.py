"""How a server appends: in batches, against others, on a store that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from mesh.errors import MeshError
from mesh.storage import StorageError, StoreUnavailable
from sequencer import allocation
from sequencer.allocation import ATTEMPTS, MAX_BATCH
from sequencer.definition import Caller, State
from sequencer.entry import Action, Entry, Witness
from sequencer.errors import SequencerReason
from sequencer.hand import Draft
from sequencer.ledger import Wish
from tests.unit.sequencer.memory import BEGIN, Fault, MemoryStore, Server, defined

NAME = "shop.order"
UID = defined().uid


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that compete do not wait."""
    monkeypatch.setattr(allocation, "PAUSE_MS", 0)


@pytest.fixture
async def store() -> MemoryStore:
    """A store with one sequence."""
    store = MemoryStore()
    await Server(store).sequencer.create(defined(), "ops/rpc")
    return store


@pytest.fixture
def server(store: MemoryStore) -> Server:
    return Server(store)


async def lease(
    server: Server, size: int = 10, client: str = "1", last: Entry | None = None, name: str = NAME
) -> Entry:
    """A grant to a service, whose newest lease is `last`."""
    proof = last.tip.witness if last is not None else None
    wish = Wish(holder=f"mesh:shop/{client}", size=size, last=proof, is_believed=True)
    return (await server.sequencer.lease(name, wish))[1]


@asynccontextmanager
async def held(store: MemoryStore) -> AsyncIterator[None]:
    """Appends that begin within the block wait until its end."""
    store.gate = asyncio.Event()
    yield
    store.gate.set()
    store.gate = None


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds; the test's time-out bounds the wait."""
    while not condition():  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0)


def ranges(entries: list[Entry]) -> list[tuple[int, int]]:
    return sorted((entry.position, entry.size) for entry in entries)


async def test_what_queued_goes_out_in_one_append(store: MemoryStore, server: Server) -> None:
    """All that was asked while one was under way, 64 at most; each has its own range."""
    async with held(store):
        asked = [asyncio.create_task(lease(server))]
        await until(lambda: store.waiting == 1)
        asked += [asyncio.create_task(lease(server)) for _ in range(MAX_BATCH + 30)]
        await asyncio.sleep(0)
    got = await asyncio.gather(*asked)

    assert store.appended == [1, MAX_BATCH, 30]
    assert ranges(got) == [(10 * place, 10) for place in range(MAX_BATCH + 31)]
    assert store.looks == 2, "creating looked, and the first lease"


async def test_entries_of_one_append_share_a_mark(store: MemoryStore, server: Server) -> None:
    """It stands for the append; each append has another one."""
    await lease(server)
    async with held(store):
        asked = [asyncio.create_task(lease(server))]
        await until(lambda: store.waiting == 1)
        asked += [asyncio.create_task(lease(server)) for _ in range(2)]
        await asyncio.sleep(0)
    marks = [entry.tip.mark for entry in await asyncio.gather(*asked)]

    assert marks[0] != marks[1] == marks[2]


async def test_who_was_not_first_looks_again(store: MemoryStore, server: Server) -> None:
    """And is granted what follows; the attempts are counted."""
    await lease(server)
    await lease(Server(store))

    assert (await lease(server)).position == 20
    store.faults.extend([Fault.CONFLICT] * (ATTEMPTS - 1))
    assert (await lease(server)).position == 30
    assert server.meters.counter("sequencer.append_retries").value == ATTEMPTS


async def test_contention_has_an_end(store: MemoryStore, server: Server) -> None:
    """After so many attempts the caller is told to come again, and nothing was granted."""
    store.faults.extend([Fault.CONFLICT] * ATTEMPTS)
    with pytest.raises(MeshError) as caught:
        await lease(server)
    assert caught.value.reason is SequencerReason.SEQUENCE_CONTENDED
    assert caught.value.retry_after_s == 1.0
    assert (await lease(server)).position == 0


@pytest.mark.parametrize(
    ("fault", "position"), [(Fault.LANDED, 0), (Fault.LOST, 0), (Fault.LATE, 0)]
)
async def test_a_lost_answer_costs_no_id_twice(
    store: MemoryStore, server: Server, fault: Fault, position: int
) -> None:
    """What took place is answered; what did not is tried again; what comes late is in the way."""
    store.faults.append(fault)
    first, second = await lease(server), await lease(server)

    grants = [one for one in store.logs[UID].values() if one.action is Action.GRANTED]
    assert ranges(grants) == [(10 * place, 10) for place in range(len(grants))]
    assert first.position >= position
    assert second.position >= first.stop
    assert len(grants) in ((2,) if fault is not Fault.LATE else (2, 3))


@pytest.mark.parametrize("fault", [Fault.LANDED, Fault.LOST])
async def test_an_answer_that_nobody_knows_is_an_error_to_the_caller(
    store: MemoryStore, server: Server, fault: Fault
) -> None:
    """The store is gone after it took the append, or did not: its range is never granted again."""
    await lease(server)
    async with held(store):
        asked = asyncio.create_task(lease(server))
        await until(lambda: store.waiting == 1)
        store.faults.append(fault)
        store.is_down = True
    with pytest.raises(StorageError):
        await asked
    store.is_down = False

    assert (await lease(server)).position == (20 if fault is Fault.LANDED else 10)


async def test_a_store_that_is_down_fails_all_that_wait_and_no_more(
    store: MemoryStore, server: Server
) -> None:
    """Each caller hears of it; who comes later is served."""
    store.faults.append(Fault.DOWN)
    done = await asyncio.gather(*(lease(server) for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in done[:1]] == [StoreUnavailable]
    assert (await lease(server)).position in (0, 20)


async def test_a_refused_wish_does_not_spoil_its_batch(store: MemoryStore, server: Server) -> None:
    """The others are granted by the same append."""
    mine = await lease(server)
    async with held(store):
        first = asyncio.create_task(lease(server))
        await until(lambda: store.waiting == 1)
        good = [asyncio.create_task(lease(server)) for _ in range(2)]
        take_back = server.sequencer.take_back(NAME, "mesh:shop/1", (mine.number, 5), 1)
        bad = asyncio.create_task(take_back)
        await asyncio.sleep(0)
    await first
    with pytest.raises(MeshError) as caught:
        await bad
    assert caught.value.reason is SequencerReason.LEASE_NOT_FOUND
    assert ranges(list(await asyncio.gather(*good))) == [(20, 10), (30, 10)]
    assert store.appended[-1] == 2


async def test_a_caller_who_left_before_is_granted_nothing(
    store: MemoryStore, server: Server
) -> None:
    """Cancelled while it waited for its turn."""
    await lease(server)
    async with held(store):
        first = asyncio.create_task(lease(server))
        await until(lambda: store.waiting == 1)
        gone, stays = (asyncio.create_task(lease(server)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
    assert (await first).position == 10
    assert (await stays).position == 20
    assert gone.cancelled()


async def test_a_caller_who_leaves_meanwhile_costs_its_range(
    store: MemoryStore, server: Server
) -> None:
    """Its entry is in the log, and nobody else is given its ids."""
    async with held(store):
        gone = asyncio.create_task(lease(server))
        await until(lambda: store.waiting == 1)
        gone.cancel()
        await asyncio.wait([gone])
    assert (await lease(server)).position == 10
    assert gone.cancelled()


async def test_leaving_waits_for_appends_under_way(store: MemoryStore, server: Server) -> None:
    """Who is stopped in good order knows what it granted, and so does its journal."""
    async with held(store):
        asked = asyncio.create_task(lease(server))
        await until(lambda: store.waiting == 1)
        leaving = asyncio.create_task(server.allocator.__aexit__(None, None, None))
        await asyncio.sleep(0.01)
        assert not leaving.done()
    await leaving
    assert asked.done()
    assert server.journal.read(UID) == (await asked).tip.witness


async def test_a_server_that_is_stopped_before_its_append_grants_nothing_stale(
    store: MemoryStore, server: Server
) -> None:
    """Others went on meanwhile: what it had planned is not granted, but what follows."""
    await lease(server)
    async with held(store):
        late = asyncio.create_task(lease(server))
        await until(lambda: store.waiting == 1)
        store.gate, gate = None, store.gate
        other = [await lease(Server(store)) for _ in range(3)]
        store.gate = gate
    assert (await late).position == other[-1].stop


async def test_an_unforeseen_error_reaches_who_waits_and_nobody_else(
    store: MemoryStore, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback; the next wish is served."""

    async def broken(draft: Draft) -> Entry:
        raise ZeroDivisionError(draft.definition.name)

    with pytest.raises(ZeroDivisionError):
        await server.allocator.append(NAME, broken)
    assert "append_failed" in caplog.messages
    assert (await lease(server)).position == 0


async def test_a_sequence_that_was_put_away_is_not_found(
    store: MemoryStore, server: Server
) -> None:
    """And is another one when it is made again, which begins behind the lost one."""
    empty = MemoryStore().copy()
    await lease(server)
    store.put_back(empty)
    with pytest.raises(MeshError) as caught:
        await lease(server)
    assert caught.value.reason is SequencerReason.SEQUENCE_NOT_FOUND

    await server.sequencer.create(defined(), "ops/rpc")
    assert (await lease(server)).position == 10


async def test_a_sequence_made_again_with_fewer_ids_is_served(
    store: MemoryStore, server: Server
) -> None:
    """What a witness knows of ids that it does not have is no reason to fail."""
    await lease(server, 500)
    store.put_back(MemoryStore().copy())
    with pytest.raises(MeshError):
        await lease(server)

    await server.sequencer.create(defined(max_value=100), "ops/rpc")

    entry = await lease(server)
    assert (entry.position, entry.tip.epoch) == (0, 1)


async def test_idle_sequences_make_way(store: MemoryStore) -> None:
    """A server remembers so many tips and no more; what it forgot it looks up again."""
    server = Server(store, max_hands=3)
    names = [f"many.s{number}" for number in range(10)]
    for name in names:
        await server.sequencer.create(defined(name), "ops/rpc")
    for turn in range(3):
        for name in names:
            assert (await lease(server, name=name)).position == 10 * turn
            assert len(server.allocator.in_use()) <= 3


async def test_a_busy_sequence_does_not_make_way(store: MemoryStore) -> None:
    """However many others come: its append is under way."""
    server = Server(store, max_hands=1)
    await server.sequencer.create(defined("other.one"), "ops/rpc")
    async with held(store):
        asked = asyncio.create_task(lease(server))
        await until(lambda: store.waiting == 1)
        store.gate, gate = None, store.gate
        await lease(server, name="other.one")
        store.gate = gate
        assert {one.name for one in server.allocator.in_use()} == {NAME, "other.one"}
    await asked


@pytest.mark.parametrize(
    "refused",
    [
        {"callers": (Caller(name="nobody"),)},
        {"callers": (Caller(name="mesh:shop", daily_quota=1),)},
        {"state": State.DRAINING},
    ],
)
async def test_a_refusal_rests_on_what_is_true_now(
    store: MemoryStore, server: Server, refused: dict[str, object]
) -> None:
    """Another server allowed it meanwhile: who refused before looks, and grants."""
    other = Server(store)
    await _change(other, **refused)
    with pytest.raises(MeshError):
        await lease(server)

    await _change(other, callers=(), state=State.ACTIVE)

    assert (await lease(server)).size == 10


async def test_tails_that_came_back_elsewhere_save_who_is_at_the_end(
    store: MemoryStore, server: Server
) -> None:
    """A server that knows of none looks before it says that there are no ids left."""
    await server.sequencer.create(defined("a.small", max_value=20), "ops/rpc")
    first = await lease(server, 20, name="a.small")
    other = Server(store)
    lease_ = first.number, first.tip.mark
    assert await other.sequencer.take_back("a.small", first.holder, lease_, 15) == 5

    assert (await lease(server, client="2", name="a.small")).position == 15


async def test_what_comes_back_within_a_batch_is_not_counted_as_taken(
    store: MemoryStore, server: Server
) -> None:
    """A quota of 30: of 30 taken 20 come back, and 20 are taken, in one append."""
    await _change(server, callers=(Caller(name="mesh:shop", daily_quota=30),))
    mine = await lease(server, 30)
    async with held(store):
        announce = server.plans.announce("hold", "ops/rpc")
        first = asyncio.create_task(server.allocator.append(NAME, announce))
        await until(lambda: store.waiting == 1)
        lease_ = mine.number, mine.tip.mark
        back = server.sequencer.take_back(NAME, mine.holder, lease_, 10)
        asked = [asyncio.create_task(back), asyncio.create_task(lease(server, 20, "2"))]
        await asyncio.sleep(0)
    await first
    assert await asked[0] == 20
    assert (await asked[1]).size == 20  # type: ignore[attr-defined]
    assert store.appended[-1] == 2


@pytest.mark.parametrize(("used", "back"), [(60, 40), (100, 0)])
async def test_what_a_killed_client_may_have_lost_is_told_once(
    store: MemoryStore, server: Server, used: int, back: int
) -> None:
    """With what came back of the lease, or by itself; nobody's count of ids changes."""
    mine = await lease(server, 100)
    lease_ = mine.number, mine.tip.mark
    asked = [server.sequencer.take_back(NAME, mine.holder, lease_, used, lost=25) for _ in range(2)]
    assert await asyncio.gather(*asked) == [back, 0]
    assert await server.sequencer.take_back(NAME, mine.holder, lease_, used, lost=25) == 0

    (told,) = [one for one in store.logs[UID].values() if one.action is Action.LOST]
    assert (told.position, told.stop) == (mine.position + used - 25, mine.position + used)
    assert (told.holder, told.source, told.taken) == (mine.holder, mine.number, 0)
    assert store.newest(UID).tip.returned == back
    (line,) = (await server.sequencer.usage(NAME, BEGIN, BEGIN + timedelta(days=1))).values()
    assert line.taken == 100 - back


async def test_numbers_tell_what_was_done(store: MemoryStore, server: Server) -> None:
    """Ids leased and returned, jumps, sequences in use."""
    entry = await lease(server, 100)
    await server.sequencer.take_back(NAME, entry.holder, (entry.number, entry.tip.mark), 40)
    held = await lease(server, 10, "2")
    await server.sequencer.take_back(NAME, held.holder, (held.number, held.tip.mark), 10, lost=7)
    await server.sequencer.fence(NAME, 1_000, "ops/rpc")

    counted = {
        name: server.meters.counter(f"sequencer.{name}").value
        for name in ("ids_leased", "ids_returned", "ids_lost", "fence_jumps")
    }
    assert counted == {"ids_leased": 110, "ids_returned": 60, "ids_lost": 7, "fence_jumps": 1}
    assert server.meters.gauges["sequencer.sequences_in_use"]() == 1
    assert isinstance(server.allocator.witness(UID), Witness)
    assert server.allocator.witness(7) is None


async def _change(server: Server, **changes: object) -> None:
    sequencer = server.sequencer
    if (state := changes.get("state")) is not None:
        assert isinstance(state, State)
        await sequencer.set_state(NAME, state, "ops/rpc")
    if (callers := changes.get("callers")) is not None:
        assert isinstance(callers, tuple)
        await sequencer.update(NAME, "ops/rpc", callers=callers, retention_days=None, revision=None)
