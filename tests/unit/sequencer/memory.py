"""Servers of sequences in memory, over a store that can be told to fail and be put back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from mesh.clock import Clock, ManualClock
from mesh.storage import IntegrityViolation, OutcomeUnknown, StoreUnavailable
from mesh.telemetry import Meters
from sequencer.allocation import MAX_HANDS, Allocator
from sequencer.definition import MAX_ID, Definition, Kind
from sequencer.directory import Directory, identity
from sequencer.entry import Action, Entry, Tip, Witness
from sequencer.log import BACK, COUNTED, EntryFilter, Superseded, Usage
from sequencer.plans import Plans
from sequencer.service import Sequencer
from sequencer.witnesses import Witnesses

BEGIN = datetime(2026, 11, 26, 9, tzinfo=UTC)


def defined(name: str = "shop.order", kind: Kind = Kind.SEGMENT, **changes: Any) -> Definition:
    """A sequence from 1 on, but for the changes."""
    values: dict[str, Any] = {
        "uid": identity(name),
        "name": name,
        "kind": kind,
        "start": 1,
        "min_value": 1,
        "max_value": MAX_ID,
        "increment": 1,
        "cycle": False,
        "create_time": BEGIN,
        "retention_days": 400,
    }
    return Definition(**{**values, **changes})


class Fault(Enum):
    """What happens to one append."""

    CONFLICT = auto()
    """It is refused, as if another server was first."""
    LOST = auto()
    """Its answer is lost, and it did not take place."""
    LANDED = auto()
    """Its answer is lost, and it took place."""
    LATE = auto()
    """Its answer is lost, and it takes place a little later, if it still can."""
    DOWN = auto()
    """The store is not there."""


@dataclass(frozen=True, slots=True)
class Copy:
    """All that a store had at a moment."""

    definitions: Mapping[int, Definition]
    names: Mapping[str, int]
    logs: Mapping[int, Mapping[int, Entry]]


@dataclass(slots=True)
class MemoryStore:
    """A `Catalogue` and `SequenceLog` that forgets everything with the process.

    The next appends meet `faults`, one each. While `is_down` all calls fail. Appends
    wait for `gate` once they have begun. `appended` has how many entries each brought,
    `read` which were looked for, and `looks` counts those at a tip.
    """

    definitions: dict[int, Definition] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    logs: dict[int, dict[int, Entry]] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    is_down: bool = False
    gate: asyncio.Event | None = None
    waiting: int = 0
    appended: list[int] = field(default_factory=list)
    looks: int = 0
    read: list[int] = field(default_factory=list)

    def copy(self) -> Copy:
        """A copy of all that there is."""
        logs = {uid: dict(log) for uid, log in self.logs.items()}
        return Copy(dict(self.definitions), dict(self.names), logs)

    def put_back(self, copy: Copy) -> None:
        """Replace all that there is by a copy."""
        self.definitions, self.names = dict(copy.definitions), dict(copy.names)
        self.logs = {uid: dict(log) for uid, log in copy.logs.items()}

    def has(self, uid: int, witness: Witness) -> bool:
        """Whether the entry of a witness is there."""
        found = self.logs.get(uid, {}).get(witness.number)
        return found is not None and found.tip.mark == witness.mark

    def newest(self, uid: int) -> Entry:
        """The newest entry of a log."""
        return self.logs[uid][max(self.logs[uid])]

    async def find(self, name: str) -> Definition | None:
        await self._call()
        return self.definitions.get(self.names.get(name, -1))

    async def get(self, uid: int) -> Definition | None:
        await self._call()
        return self.definitions.get(uid)

    async def page(self, *, after: str, limit: int) -> Sequence[Definition]:
        await self._call()
        found = sorted(self.definitions.values(), key=lambda one: one.name)
        return [one for one in found if one.name > after][:limit]

    async def children(self, uid: int) -> Sequence[Definition]:
        await self._call()
        return [one for one in self.definitions.values() if one.parent == uid]

    async def create(self, definition: Definition, first: Entry) -> bool:
        await self._call()
        if definition.name in self.names or definition.uid in self.definitions:
            return False
        self.names[definition.name] = definition.uid
        self.definitions[definition.uid] = definition
        self.logs[definition.uid] = {first.number: first}
        return True

    async def change(self, definition: Definition, *, renamed: bool = False) -> bool:
        await self._call()
        known = self.definitions.get(definition.uid)
        if known is None or known.revision != definition.revision - 1:
            return False
        if renamed and definition.name in self.names:
            raise IntegrityViolation("unique")
        self.names[definition.name] = definition.uid
        self.definitions[definition.uid] = definition
        return True

    async def tip(self, uid: int) -> Tip | None:
        await self._call()
        self.looks += 1
        return self.newest(uid).tip if self.logs.get(uid) else None

    async def append(self, uid: int, after: Tip, new: Sequence[Entry]) -> None:
        await self._call()
        self.appended.append(len(new))
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
            self.waiting -= 1
        fault = self.faults.popleft() if self.faults else None
        match fault:
            case None:
                self._append(uid, after, new)
            case Fault.CONFLICT:
                raise Superseded
            case Fault.DOWN:
                raise StoreUnavailable("down")
            case _:
                if fault is Fault.LANDED:
                    self._append(uid, after, new)
                elif fault is Fault.LATE:
                    asyncio.get_running_loop().call_soon(self._try_append, uid, after, new)
                raise OutcomeUnknown("the answer was lost")

    async def entry(self, uid: int, number: int) -> Entry | None:
        await self._call()
        self.read.append(number)
        log = self.logs.get(uid, {})
        place = min((one for one in log if one >= number), default=None)
        return log[place] if place is not None else None

    async def returned(self, uid: int, number: int) -> Entry | None:
        await self._call()
        found = (
            entry
            for entry in self.logs.get(uid, {}).values()
            if entry.source == number and entry.action in BACK
        )
        return next(found, None)

    async def entries(
        self, uid: int, *, before: int, limit: int, only: EntryFilter
    ) -> Sequence[Entry]:
        await self._call()
        return [
            entry
            for entry in self._descending(uid, before)
            if (not only.caller or entry.caller == only.caller)
            and (only.since is None or entry.time >= only.since)
            and (only.until is None or entry.time < only.until)
            and (not only.actions or entry.action in only.actions)
        ][:limit]

    async def holding(self, uid: int, position: int, *, before: int, limit: int) -> Sequence[Entry]:
        await self._call()
        return [
            entry
            for entry in self._descending(uid, before)
            if entry.position <= position < entry.stop
        ][:limit]

    async def usage(self, uid: int, since: datetime, until: datetime) -> Mapping[str, Usage]:
        await self._call()
        found: dict[str, Usage] = {}
        for entry in self.logs.get(uid, {}).values():
            if entry.size and since <= entry.time < until and entry.action in COUNTED:
                known = found.get(entry.caller, Usage())
                is_grant = entry.action is Action.GRANTED
                found[entry.caller] = Usage(
                    leases=known.leases + is_grant,
                    granted=known.granted + (entry.size if is_grant else 0),
                    returned=known.returned + (0 if is_grant else entry.size),
                )
        return found

    async def purge(self, uid: int, before: datetime, tip: int) -> int:
        await self._call()
        gone = 0
        for number, entry in sorted(self.logs.get(uid, {}).items()):
            if number >= tip or entry.time >= before:
                break
            del self.logs[uid][number]
            gone += 1
        return gone

    def _descending(self, uid: int, before: int) -> Sequence[Entry]:
        log = self.logs.get(uid, {})
        return [log[number] for number in sorted(log, reverse=True) if number < before]

    def _append(self, uid: int, after: Tip, new: Sequence[Entry]) -> None:
        log = self.logs.get(uid, {})
        is_there = self.has(uid, after.witness)
        if not is_there or any(entry.number in log for entry in new):
            raise Superseded
        log.update({entry.number: entry for entry in new})

    def _try_append(self, uid: int, after: Tip, new: Sequence[Entry]) -> None:
        try:
            self._append(uid, after, new)
        except Superseded:
            return

    async def _call(self) -> None:
        await asyncio.sleep(0)
        if self.is_down:
            raise StoreUnavailable("down")


@dataclass(slots=True)
class MemoryJournal:
    """A `Journal` that outlives the server that it is given to."""

    known: dict[int, Witness] = field(default_factory=dict)

    def note(self, sequence: int, witness: Witness) -> None:
        before = self.known.get(sequence)
        if before is None or before.age < witness.age:
            self.known[sequence] = witness

    def read(self, sequence: int) -> Witness | None:
        return self.known.get(sequence)


class Nobody:
    """`Peers` of a server that is alone, or those that `ask` finds."""

    def __init__(self, ask: Callable[[str], Sequence[Witness]] | None = None) -> None:
        self._ask = ask
        self.asked: list[str] = []

    async def witnesses(self, name: str, *, patient: bool = True) -> Sequence[Witness]:
        self.asked.append(name)
        await asyncio.sleep(0)
        return self._ask(name) if self._ask else []


class Server:
    """One server: what it remembers is gone when another is made on its journal."""

    def __init__(
        self,
        store: MemoryStore,
        journal: MemoryJournal | None = None,
        *,
        peers: Nobody | PeersOf | None = None,
        clock: Clock | None = None,
        max_hands: int = MAX_HANDS,
    ) -> None:
        clock = clock or ManualClock(BEGIN)
        self.journal = journal or MemoryJournal()
        self.peers = peers or Nobody()
        self.meters = Meters()
        self.witnesses = Witnesses(store, self.journal, self.peers)
        self.plans = Plans(store, self.witnesses)
        directory = Directory(store, clock)
        self.allocator = Allocator(
            directory, store, self.witnesses, self.meters, max_hands=max_hands
        )
        self.sequencer = Sequencer(store, store, self.allocator, self.plans, clock)


class PeersOf:
    """`Peers` that are the servers of a list, as it is when they are asked."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers

    async def witnesses(self, name: str, *, patient: bool = True) -> Sequence[Witness]:
        found = [await server.sequencer.witness(name) for server in self._servers]
        return [witness for witness in found if witness is not None]
