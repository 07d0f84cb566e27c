"""The promise of allocation and fence, checked against the real code in ever new histories.

A *restore* puts the store back to some earlier copy. Entries that the log does not have
any more are *lost*; so is what they granted, though clients go on using it. A *witness*
is the newest entry that somebody saw. It *speaks* when a client sends it with a lease;
when a server leases that remembers it, in memory or in its journal; and when a running
server is asked because another one jumps or takes the sequence up. The operator speaks by
`fence`. Then, whatever else happens (servers and clients crash, journals are lost, answers
of the store are lost or come late, servers compete):

1. Grants of one log never overlap, but for what was returned.
2. Once a witness of a lost entry has spoken, whatever is granted is above all that had
   been granted when that entry was made, and of a higher epoch: so a grant repeats ids
   of a lost one only as long as nobody has spoken who saw that one or a later one.
3. A client's leases rise, in position and in (epoch, number), over restores too.
4. STRICT: what is asked for after an answer was given lies above it, within one log.
5. A caller that is not believed changes nothing by its witness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mesh.errors import MeshError
from mesh.storage import StorageError
from sequencer import allocation
from sequencer.definition import Definition, Kind
from sequencer.directory import SELF
from sequencer.entry import Action, Entry, Witness
from sequencer.errors import SequencerReason
from sequencer.ledger import Wish
from tests.unit.sequencer.memory import (
    Copy,
    Fault,
    MemoryJournal,
    MemoryStore,
    PeersOf,
    Server,
    defined,
)

HOSTS, CLIENTS = (100, 100, 1), 4
"""How many sequences each server remembers, and how many clients there are."""

HOST, CLIENT = st.integers(0, len(HOSTS) - 1), st.integers(0, CLIENTS - 1)
SIZE = st.integers(1, 9)
NAMES = {"segment": Kind.SEGMENT, "strict": Kind.STRICT}

T = TypeVar("T")


@dataclass(slots=True)
class Grant:
    """What somebody may have used: positions `begin` … `end - 1`."""

    witness: Witness
    begin: int
    end: int


@dataclass(slots=True)
class Client:
    """A process that holds leases of one sequence."""

    holder: str
    name: str
    is_believed: bool
    last: Witness | None = None
    held: list[Grant] = field(default_factory=list)


@dataclass(slots=True)
class Host:
    """Where a server runs; its disk outlives it. What it saw is kept here by the test itself."""

    max_hands: int
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    server: Server | None = None
    memory: dict[str, Witness] = field(default_factory=dict)
    disk: dict[str, Witness] = field(default_factory=dict)

    def saw(self, name: str, witness: Witness) -> None:
        for known in (self.memory, self.disk):
            if name not in known or known[name].age < witness.age:
                known[name] = witness

    def remembers(self, name: str) -> list[Witness]:
        """What it must know: memory alone does not keep what makes way for other sequences."""
        places = (self.memory, self.disk) if self.max_hands >= len(NAMES) else (self.disk,)
        return [known[name] for known in places if name in known]


@dataclass(slots=True)
class Sight:
    """What was true before an operation: the witnesses that speak by it, of lost entries."""

    lost: list[Witness]
    of_peers: list[Witness]
    floor: int
    newest: int
    answered: int


class Fence(RuleBasedStateMachine):
    """Three hosts, four clients, two sequences, one store."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(allocation, "PAUSE_MS", 0)  # servers compete without waiting
        self.loop = asyncio.new_event_loop()
        self.store = MemoryStore()
        self.sequences: dict[str, Definition] = {}
        self.hosts = [Host(max_hands=hands) for hands in HOSTS]
        self.running: list[Server] = []
        self.grants: dict[str, list[Grant]] = {name: [] for name in NAMES}
        self.floors = dict.fromkeys(NAMES, 0)
        self.copies: list[tuple[Copy, dict[str, int]]] = []
        self.clients: list[Client] = []
        self.born = 0

    def teardown(self) -> None:
        self.loop.close()
        self.patch.undo()

    @initialize()
    def begin(self) -> None:
        for place in range(len(HOSTS)):
            self._start(place)
        server = self.running[0]
        for name, kind in NAMES.items():
            made = self._run(server.sequencer.create(defined(name, kind), "ops/rpc"))
            self.sequences[name] = made.definition
        for place in range(CLIENTS):
            self.clients.append(self._born(place))
        self.copies.append((self.store.copy(), dict(self.floors)))

    # what clients do

    @rule(host=HOST, client=CLIENT, size=SIZE)
    def lease(self, host: int, client: int, size: int) -> None:
        self._lease([(host, client, size)])

    @rule(
        asked=st.lists(
            st.tuples(HOST, CLIENT, SIZE),
            min_size=2,
            max_size=CLIENTS,
            unique_by=lambda one: one[1],
        )
    )
    def lease_at_once(self, asked: list[tuple[int, int, int]]) -> None:
        self._lease(asked)

    @rule(host=HOST, client=CLIENT, used=st.integers(0, 9), lease=st.integers(0, 3))
    def give_back(self, host: int, client: int, used: int, lease: int) -> None:
        holder, server = self.clients[client], self.hosts[host].server
        if server is None or not holder.held:
            return
        grant = holder.held[-1 - lease % len(holder.held)]
        used = min(used, grant.end - grant.begin)
        lease_ = grant.witness.number, grant.witness.mark
        grant.end = grant.begin + used
        with suppress(StorageError, MeshError):
            self._run(server.sequencer.take_back(holder.name, holder.holder, lease_, used))

    @rule(client=CLIENT)
    def crash_client(self, client: int) -> None:
        self.clients[client] = self._born(client)

    # what operators do, and what happens to machines

    @rule(host=HOST, name=st.sampled_from(sorted(NAMES)), ids=st.integers(0, 80))
    def fence(self, host: int, name: str, ids: int) -> None:
        if (server := self.hosts[host].server) is None:
            return
        try:
            self._run(server.sequencer.fence(name, ids, "ops/rpc"))
        except (StorageError, MeshError):
            return
        self.floors[name] = max(self.floors[name], ids)

    @rule(host=HOST)
    def crash_server(self, host: int) -> None:
        if (server := self.hosts[host].server) is not None:
            self.running.remove(server)
            self.hosts[host].server, self.hosts[host].memory = None, {}

    @rule(host=HOST)
    def start_server(self, host: int) -> None:
        if self.hosts[host].server is None:
            self._start(host)

    @rule(host=HOST)
    def lose_journal(self, host: int) -> None:
        self.hosts[host].journal.known.clear()
        self.hosts[host].disk = {}

    @rule(fault=st.sampled_from(sorted(Fault, key=lambda one: one.value)))
    def fail_an_append(self, fault: Fault) -> None:
        if len(self.store.faults) < 2:
            self.store.faults.append(fault)

    @rule()
    def copy(self) -> None:
        self.copies.append((self.store.copy(), dict(self.floors)))

    @rule(which=st.integers(0, 9))
    @precondition(lambda self: self.copies)
    def restore(self, which: int) -> None:
        copy, floors = self.copies[-1 - which % len(self.copies)]
        self.store.put_back(copy)
        self.floors = dict(floors)

    @invariant()
    def grants_of_one_log_do_not_overlap(self) -> None:
        for name, definition in self.sequences.items():
            grants = sorted(
                (grant.begin, grant.end)
                for grant in self.grants[name]
                if grant.end > grant.begin and self.store.has(definition.uid, grant.witness)
            )
            for (_, end), (begin, _) in pairwise(grants):
                assert end <= begin, f"granted twice: {begin}"

    def _lease(self, asked: list[tuple[int, int, int]]) -> None:
        calls, sights, askers = [], [], []
        for host, client, size in asked:
            server, one = self.hosts[host].server, self.clients[client]
            if server is None:
                continue
            wish = Wish(
                holder=one.holder,
                size=size,
                last=one.last,
                kind=NAMES[one.name],
                is_believed=one.is_believed,
            )
            askers.append((self.hosts[host], one))
            sights.append(self._sight(self.hosts[host], one))
            calls.append(server.sequencer.lease(one.name, wish))
        done = self._run(_all(calls))
        for (host_, one), sight, outcome in zip(askers, sights, done, strict=True):
            if isinstance(outcome, MeshError):
                self._refused(one, outcome)
            elif not isinstance(outcome, Exception):
                _, entry = outcome
                self._granted(host_, one, sight, entry)

    def _sight(self, host: Host, client: Client) -> Sight:
        uid = self.sequences[client.name].uid
        speakers = host.remembers(client.name)
        if client.last is not None and client.is_believed:
            speakers.append(client.last)
        peers = [
            witness
            for other in self.hosts
            if other.server is not None
            for witness in other.remembers(client.name)
        ]
        grants = self.grants[client.name]
        here = [grant.end for grant in grants if self.store.has(uid, grant.witness)]
        return Sight(
            lost=[witness for witness in speakers if not self.store.has(uid, witness)],
            of_peers=[witness for witness in peers if not self.store.has(uid, witness)],
            floor=self.floors[client.name],
            newest=self.store.newest(uid).number,
            answered=max(here, default=0),
        )

    def _refused(self, client: Client, error: MeshError) -> None:
        if error.reason is SequencerReason.SEQUENCE_CONTENDED:
            return
        assert error.reason is SequencerReason.FENCE_REFUSED
        assert not client.is_believed
        assert client.last is not None
        assert not self.store.has(self.sequences[client.name].uid, client.last)

    def _granted(self, host: Host, client: Client, sight: Sight, entry: Entry) -> None:
        name, uid, tip = client.name, self.sequences[client.name].uid, entry.tip
        speakers = list(sight.lost)
        if self._jumped_since(uid, sight.newest, entry.number):
            speakers += sight.of_peers
        floor = max(sight.floor, *(witness.position for witness in speakers), 0)
        assert entry.position >= floor, f"{entry.position} granted below {floor}"
        assert all(tip.epoch > witness.epoch for witness in sight.lost)
        if client.last is not None:
            assert entry.position >= client.last.position
            assert tip.witness.age > client.last.age
        if entry.source == 0:
            assert entry.position >= sight.answered
        else:
            assert NAMES[name] is Kind.SEGMENT
            assert client.last is None
        self.floors[name] = max(self.floors[name], floor)
        grant = Grant(tip.witness, entry.position, entry.stop)
        self.grants[name].append(grant)
        client.held.append(grant)
        client.last = tip.witness
        host.saw(name, tip.witness)

    def _jumped_since(self, uid: int, newest: int, until: int) -> bool:
        """Whether a server jumped, and was not told to by the operator."""
        log = self.store.logs[uid]
        return any(
            entry.action is Action.FENCED and entry.caller == SELF
            for number, entry in log.items()
            if newest < number < until
        )

    def _born(self, place: int) -> Client:
        self.born += 1
        name = sorted(NAMES)[place % len(NAMES)]
        caller = f"mesh:shop/{self.born}"
        return Client(holder=caller, name=name, is_believed=place != CLIENTS - 1)

    def _start(self, place: int) -> None:
        peers = PeersOf(self.running)
        host = self.hosts[place]
        server = Server(self.store, host.journal, peers=peers, max_hands=host.max_hands)
        host.server = server
        self.running.append(server)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and all that came of it."""

        async def done() -> T:
            try:
                return await work
            finally:
                await asyncio.sleep(0)
                while others := asyncio.all_tasks() - {asyncio.current_task()}:
                    await asyncio.wait(others)

        return self.loop.run_until_complete(done())


async def _all(calls: list[Coroutine[Any, Any, T]]) -> list[T | Exception]:
    return list(await asyncio.gather(*(_outcome(call) for call in calls)))


async def _outcome(call: Coroutine[Any, Any, T]) -> T | Exception:
    try:
        return await call
    except (MeshError, StorageError) as error:
        return error


def test_no_id_is_granted_twice_that_a_witness_spoke_of() -> None:
    """The promise of this module holds in every history that is tried."""
    run_state_machine_as_test(Fence, settings=settings(max_examples=150, stateful_step_count=40))
