"""Clients and servers whose clocks go anywhere, over a store that may be put back.

Whatever happens: no id twice, none negative or too long, and each client's rise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sequencer.sdk import SequenceEmpty, SequencerError, SequencerUnavailable
from sequencer.sdk._minter import Minter
from sequencer.sdk._worker import Tenancy, Worker, WorkerRequest
from sequencer.sdk.layout import Layout
from sequencer.snowflake.memory_store import MemoryWorkers
from tests.unit.sequencer.snowflake.servers import Noted, Server
from tests.unit.sequencer.snowflake.worlds import Client, Wall

CLIENTS = 4
LAYOUT = Layout(time_bits=41, worker_bits=2, sequence_bits=2)

clients = st.integers(0, CLIENTS - 1)
servers = st.integers(0, 1)
pauses_s = st.sampled_from([0.001, 0.02, 1.0, 30.0, 60.0, 89.999, 90.0, 100.0, 4_000.0])
steps_s = st.one_of(
    st.sampled_from([-1.0, 1.0, -60.0, 60.0, -90.0, -1_000.0, 1_000.0]),
    st.floats(-(10.0**8), 10.0**8),
)


class Line:
    """What lies between clients and servers: it goes to one of them, and may lose answers."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.loses = ""

    def acquire(self, request: WorkerRequest, *, timeout_s: float) -> Worker:
        self._lost("before")
        answer = self.server.acquire(request, timeout_s=timeout_s)
        self._lost("after")
        return answer

    def renew(self, tenancy: Tenancy, window_s: float, *, timeout_s: float) -> Worker:
        self._lost("before")
        answer = self.server.renew(tenancy, window_s, timeout_s=timeout_s)
        self._lost("after")
        return answer

    def release(self, tenancy: Tenancy, next_tick: int, *, timeout_s: float) -> None:
        self._lost("before")
        self.server.release(tenancy, next_tick, timeout_s=timeout_s)
        self._lost("after")

    def ensure(self, name: str, *, timeout_s: float) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _lost(self, when: str) -> None:
        if self.loses == when:
            raise SequencerUnavailable("the answer was lost")


class Processes(RuleBasedStateMachine):
    """Some clients, two servers of one host, one store."""

    @initialize()
    def begin(self) -> None:
        self.store = MemoryWorkers()
        self.backup = self.store.backup()
        self.journal = Noted()
        self.servers = [self._server(Wall()), self._server(Wall())]
        self.line = Line(self.servers[0])
        self.started = 0
        self.clients = [self._client() for _ in range(CLIENTS)]
        self.frozen: list[Iterator[int]] = []
        self.seen: set[int] = set()

    @rule(who=clients, loses=st.sampled_from(["", "", "before", "after"]), count=st.integers(0, 30))
    def tend(self, who: int, loses: str, count: int) -> None:
        """Its thread comes round; a call or an answer may be lost."""
        self.line.loses = loses
        with suppress(SequencerError):
            self.clients[who].tend()
        self.line.loses = ""
        self._take(self.clients[who], count)

    @rule(who=clients, count=st.integers(1, 30))
    def take(self, who: int, count: int) -> None:
        self._take(self.clients[who], count)

    @rule(seconds=pauses_s, order=st.lists(clients, max_size=6), count=st.integers(1, 10))
    def round(self, seconds: float, order: list[int], count: int) -> None:
        """Some threads come round after a while, and everybody takes ids."""
        self.time_passes(seconds)
        for who in order:
            self.tend(who, "", 0)
        for client in self.clients:
            self._take(client, count)

    @rule(who=clients)
    def freeze(self, who: int) -> None:
        """A thread has looked at the clock, and is held up before it takes an id."""
        self.frozen.append(self.clients[who].minter._tick.live)

    @precondition(lambda self: self.frozen)
    @rule()
    def thaw(self) -> None:
        for id_ in self.frozen.pop(0):
            self._issued(range(id_, id_ + 1))
            return

    @rule(who=clients, is_killed=st.booleans())
    def restart(self, who: int, is_killed: bool) -> None:
        """Another process takes its place, after a clean end or none."""
        old, self.clients[who] = self.clients[who], self._client()
        if not is_killed:
            old.minter.close()
            with suppress(SequencerError):
                old.leasing.release(old.minter)

    @rule(who=clients, child=clients)
    def fork(self, who: int, child: int) -> None:
        """The child's copy of the minter is reset, as the hook does."""
        parent, made = self.clients[who], self._client()
        made.minter._ticks.last_tick = parent.last_tick
        made.minter.reset()
        self.clients[child] = made

    def time_passes(self, seconds: float) -> None:
        for client in self.clients:
            client.clock.step(seconds)
        for server in self.servers:
            server.wall.step(seconds)

    @rule(who=clients, seconds=pauses_s)
    def drift(self, who: int, seconds: float) -> None:
        self.clients[who].clock.step(seconds)

    @rule(seconds=steps_s, number=servers)
    def step_server(self, seconds: float, number: int) -> None:
        self.servers[number].wall.step(seconds)

    @rule(number=servers, is_new=st.booleans())
    def reach(self, number: int, is_new: bool) -> None:
        """Clients come to this server from now on; it may have been started anew."""
        if is_new:
            self.servers[number] = self._server(self.servers[number].wall)
        self.line.server = self.servers[number]

    @rule()
    def back_up(self) -> None:
        self.backup = self.store.backup()

    @rule()
    def restore(self) -> None:
        """The store is put back to the copy; the servers are started anew, with their journal."""
        self.store.restore(self.backup)
        self.servers = [self._server(server.wall) for server in self.servers]
        self.line.server = self.servers[0]

    def _server(self, wall: Wall) -> Server:
        return Server(self.store, wall=wall, layout=LAYOUT, journal=self.journal)

    def _client(self) -> Client:
        self.started += 1
        return Client(self.line, f"client-{self.started}", survive_s=60)

    def _take(self, client: Client, count: int) -> None:
        for ids in taken(client.minter, count):
            self._issued(ids)
            assert ids[0] > client.last_id, "a client's ids rise"
            client.last_id = ids[-1]

    def _issued(self, ids: range) -> None:
        assert 0 <= ids[0] <= ids[-1] < 1 << LAYOUT.bits
        assert self.seen.isdisjoint(ids), "an id came twice"
        self.seen.update(ids)


def taken(minter: Minter, count: int) -> list[range]:
    try:
        return minter.some(count)
    except (SequenceEmpty, SequencerError):
        return []


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=200, stateful_step_count=50)
