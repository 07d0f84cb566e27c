"""Who remembers how far a sequence had come, when its log does not know any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mesh.errors import MeshError
from mesh.storage import StoreUnavailable
from sequencer import allocation, witnesses
from sequencer.entry import Action, Entry, Witness
from sequencer.errors import SequencerReason
from sequencer.ledger import Wish
from tests.unit.sequencer.memory import (
    BEGIN,
    Copy,
    Fault,
    MemoryJournal,
    MemoryStore,
    Nobody,
    PeersOf,
    Server,
    defined,
)

NAME = "shop.order"
UID = defined().uid


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that compete do not wait."""
    monkeypatch.setattr(allocation, "PAUSE_MS", 0)


@pytest.fixture
async def store() -> MemoryStore:
    """A store with one sequence, of which 10 ids are granted."""
    store = MemoryStore()
    server = Server(store)
    await server.sequencer.create(defined(), "ops/rpc")
    await lease(server)
    return store


@pytest.fixture
def copy(store: MemoryStore) -> Copy:
    """The store at that time."""
    return store.copy()


async def lease(
    server: Server, size: int = 10, last: Witness | None = None, *, is_believed: bool = True
) -> Entry:
    wish = Wish(holder="mesh:shop/1", size=size, last=last, is_believed=is_believed)
    return (await server.sequencer.lease(NAME, wish))[1]


def jumps(store: MemoryStore) -> list[Entry]:
    return [entry for entry in store.logs[UID].values() if entry.action is Action.FENCED]


async def test_a_server_remembers_what_a_store_forgot(store: MemoryStore, copy: Copy) -> None:
    """Its own memory is enough: it jumps before it grants, and logs an alarm."""
    server = Server(store)
    lost = await lease(server, 50)
    server.journal.known.clear()
    store.put_back(copy)

    entry = await lease(server)

    assert (entry.position, entry.tip.epoch) == (lost.stop, 1)
    (jump,) = jumps(store)
    assert (jump.position, jump.stop, jump.holder) == (10, 60, "mesh:sequencer/fence")
    assert jump.note == f"witness this server: entry {lost.number} of epoch 0"


async def test_a_journal_remembers_for_the_next_server(store: MemoryStore, copy: Copy) -> None:
    """On the same disk; one on another disk that asks nobody cannot know."""
    journal = MemoryJournal()
    lost = await lease(Server(store, journal), 50)
    store.put_back(copy)

    assert (await lease(Server(store, journal))).position == lost.stop


async def test_a_client_remembers_for_a_server_that_never_saw_it(
    store: MemoryStore, copy: Copy
) -> None:
    """The alarm names it; with the same witness once more nothing is jumped over."""
    lost = await lease(Server(store), 50)
    store.put_back(copy)
    server = Server(store)

    entry = await lease(server, last=lost.tip.witness)

    assert (entry.position, entry.tip.epoch) == (lost.stop, 1)
    assert [jump.note for jump in jumps(store)] == [
        f"witness mesh:shop/1: entry {lost.number} of epoch 0"
    ]
    assert (await lease(server, last=lost.tip.witness)).position == entry.stop
    assert len(jumps(store)) == 1


async def test_a_witness_that_knows_of_more_jumps_again(store: MemoryStore, copy: Copy) -> None:
    """The first one to speak knew of less: what lies behind its jump is not covered by it."""
    first = await lease(Server(store), 50)
    second = await lease(Server(store), 500)
    store.put_back(copy)
    server = Server(store)
    entry = await lease(server, last=first.tip.witness)

    again = await lease(server, last=second.tip.witness)

    assert (entry.position, entry.tip.epoch) == (first.stop, 1)
    assert (again.position, again.tip.epoch) == (second.stop, 2)


async def test_who_is_not_believed_changes_nothing(store: MemoryStore, copy: Copy) -> None:
    """The refusal says so; others are granted what the store knows."""
    lost = await lease(Server(store), 50)
    store.put_back(copy)
    server = Server(store)

    with pytest.raises(MeshError) as caught:
        await lease(server, last=lost.tip.witness, is_believed=False)
    assert caught.value.reason is SequencerReason.FENCE_REFUSED
    assert (await lease(server)).position == 10
    assert jumps(store) == []


async def test_the_other_servers_are_asked_before_a_jump(store: MemoryStore, copy: Copy) -> None:
    """The one who found out knows less than another: nothing that either knows comes twice."""
    servers: list[Server] = []
    servers += [Server(store, peers=PeersOf(servers)) for _ in range(2)]
    first = await lease(servers[0], 50)
    last = await lease(servers[1], 500)
    store.put_back(copy)

    assert (await lease(servers[0])).position == last.stop
    assert first.stop < last.stop
    assert (await lease(servers[1])).tip.epoch == 1
    assert len(jumps(store)) == 1


async def test_a_server_that_is_asked_tells_the_farthest_that_it_knows(
    store: MemoryStore, copy: Copy
) -> None:
    """Not the tip of the store that was put back, though it has seen that since."""
    server = Server(store)
    lost = await lease(server, 50)
    store.put_back(copy)
    store.faults.extend([Fault.CONFLICT, Fault.DOWN])
    with pytest.raises(StoreUnavailable):
        await lease(server)

    assert await server.sequencer.witness(NAME) == lost.tip.witness


async def test_nobody_is_asked_while_nothing_is_lost(store: MemoryStore) -> None:
    """Other servers' grants are no reason for doubt, once a sequence is in hand."""
    peers = Nobody()
    server, other = Server(store, peers=peers), Server(store)
    await lease(server)
    peers.asked.clear()
    for _ in range(5):
        entry = await lease(server, last=(await lease(other)).tip.witness)
    assert peers.asked == []
    assert entry.tip.epoch == 0


async def test_what_a_server_found_lost_is_not_forgotten_while_it_tries_again(
    store: MemoryStore, copy: Copy
) -> None:
    """It looked, and another server was first: the second look doubts what the first one did."""
    server = Server(store)
    await lease(server)
    seen = await lease(Server(store), 500)
    await lease(server)  # it has met that entry, and remembers it
    store.put_back(copy)
    server.journal.known.clear()
    store.faults.extend([Fault.CONFLICT] * 3)

    assert (await lease(server)).position >= seen.stop


async def test_a_mark_that_was_seen_is_not_looked_for_again(store: MemoryStore) -> None:
    """Another server's entry costs one read of the log, and of this server's none."""
    server = Server(store)
    foreign = await lease(Server(store))
    own = await lease(server)

    for _ in range(5):
        own = await lease(server, last=own.tip.witness)
        await lease(server, last=foreign.tip.witness)

    assert store.read == [foreign.number]


async def test_the_newest_entry_of_all_is_not_looked_for(store: MemoryStore) -> None:
    """The append makes sure of it, whoever made it."""
    newest = await lease(Server(store))

    await lease(Server(store), last=newest.tip.witness)

    assert store.read == []


async def test_marks_are_remembered_within_a_bound(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest are given up, and looked for again."""
    monkeypatch.setattr(witnesses, "MAX_MARKS", 10)
    server = Server(store)
    first = await lease(server)
    for _ in range(20):
        await lease(server)
    store.read.clear()

    await lease(server, last=first.tip.witness)

    assert store.read == [first.number]


async def test_a_mark_from_before_a_sequence_made_way_proves_nothing(
    store: MemoryStore, copy: Copy
) -> None:
    """Nobody watched over its log meanwhile, and it was put back."""
    server = Server(store, max_hands=1)
    await server.sequencer.create(defined("other.one"), "ops/rpc")
    lost = await lease(Server(store), 50)
    await lease(server, last=lost.tip.witness)
    held = store.copy()
    wish = Wish(holder="mesh:shop/1", size=1)
    await server.sequencer.lease("other.one", wish)
    server.journal.known.clear()
    store.put_back(replace(copy, definitions=held.definitions, names=held.names))
    for _ in range(3):
        assert (await lease(Server(store))).position < lost.stop

    assert (await lease(server, last=lost.tip.witness)).position >= lost.stop


async def test_a_witness_of_a_forgotten_entry_is_no_reason_for_doubt(
    store: MemoryStore,
) -> None:
    """Entries are forgotten in time; one that lies beyond the tip cannot be such."""
    server = Server(store)
    old = await lease(server)
    await lease(server)
    tip = store.newest(UID).tip
    await store.purge(UID, BEGIN + timedelta(days=1), tip.number)
    cold = Server(store)

    assert (await lease(cold, last=old.tip.witness)).tip.epoch == 0
    beyond = replace(old.tip.witness, position=10_000)
    entry = await lease(cold, last=beyond)
    assert (entry.position, entry.tip.epoch) == (10_000, 1)


async def test_a_witness_beyond_the_sequence_is_refused(store: MemoryStore) -> None:
    """Nor can one end it by numbers that no log reaches."""
    server = Server(store)
    for claim, field in (
        (Witness(number=2**62 + 1, mark=0, epoch=0, position=0), "last"),
        (Witness(number=1, mark=0, epoch=2**62 + 1, position=0), "last"),
    ):
        with pytest.raises(MeshError) as caught:
            await lease(server, last=claim)
        assert [violation.field for violation in caught.value.violations] == [field]
    await server.sequencer.create(defined("a.small", max_value=20), "ops/rpc")
    claim = Witness(number=1, mark=0, epoch=0, position=21)
    wish = Wish(holder="mesh:shop/1", size=1, last=claim, is_believed=True)
    with pytest.raises(MeshError) as caught:
        await server.sequencer.lease("a.small", wish)
    assert [violation.field for violation in caught.value.violations] == ["last.position"]


async def test_two_servers_that_find_out_at_once_jump_once_each_at_most(
    store: MemoryStore, copy: Copy
) -> None:
    """Who comes second finds its witness covered, and grants behind the jump."""
    servers: list[Server] = []
    servers += [Server(store, peers=PeersOf(servers)) for _ in range(2)]
    last = [await lease(server, 50) for server in servers]
    store.put_back(copy)

    entries = [await lease(server) for server in servers]

    assert [entry.position for entry in entries] == [last[1].stop, last[1].stop + 10]
    assert {entry.tip.epoch for entry in entries} == {1}


async def test_a_store_that_is_put_back_to_a_newer_copy_again_is_found_out(
    store: MemoryStore, copy: Copy
) -> None:
    """The wrong backup first, then the right one: what the first one granted is lost in turn."""
    server = Server(store)
    await lease(server, 50)
    right = store.copy()
    await lease(server, 500)
    store.put_back(copy)
    between = await lease(server)
    assert between.tip.epoch == 1
    store.put_back(right)

    entry = await lease(server)

    assert entry.position >= between.stop
    assert entry.tip.epoch > between.tip.epoch


async def test_a_server_that_takes_a_sequence_up_hears_of_what_was_lost(
    store: MemoryStore, copy: Copy
) -> None:
    """It has neither memory nor journal, and its client no range: another server knows."""
    servers: list[Server] = []
    servers += [Server(store, peers=PeersOf(servers)) for _ in range(2)]
    old, cold = servers
    granted = await lease(old, size=500)
    store.put_back(copy)
    entry = await lease(cold)
    assert entry.position >= granted.stop
    assert entry.tip.epoch == 1
