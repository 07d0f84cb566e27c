"""What can be done with sequences: make them, look at them, change them, take ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Sequence as ListOf
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.storage import IntegrityViolation
from sequencer import ledger
from sequencer.allocation import Allocator
from sequencer.definition import Caller, Definition, Kind, State, check, check_callers
from sequencer.directory import Catalogue, Directory
from sequencer.entry import Entry, Tip, Witness
from sequencer.errors import SequencerReason
from sequencer.ledger import Wish
from sequencer.log import EntryFilter, SequenceLog, Usage
from sequencer.pace import daily_pace
from sequencer.plans import Plans, behind

AT_ONCE: Final = 64
"""Periods of a serial that are changed at once; there is one for each day."""

STREAMED: Final = 1_000_000
"""Ids of each range of a stream that does not say."""

_STEPS: Final = frozenset(
    {
        (State.ACTIVE, State.DRAINING),
        (State.DRAINING, State.ACTIVE),
        (State.DRAINING, State.RETIRED),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A sequence and what is true of it now.

    `days_left` is how long its ids last at the pace of the last week; None when
    none were taken, or when they never end.
    """

    definition: Definition
    tip: Tip
    days_left: float | None = None

    @property
    def remaining(self) -> int | None:
        """Ids left; None when they never end, or are made from the time."""
        if self.definition.cycle or self.definition.kind is Kind.SNOWFLAKE:
            return None
        return self.definition.capacity - self.tip.position


class Progress(Protocol):
    """Tells where GAPLESS sequences stand."""

    async def tip(self, sequence: int) -> Tip:
        """Where a sequence stands: behind the last number that was ever issued."""

    async def daily_pace(
        self, sequence: int, tip: Tip, *, now: datetime, create_time: datetime
    ) -> float:
        """Numbers a day that were issued for the first time within the last week."""


class Sequencer:
    """The use cases of the sequencer. Ids are safe once a call has returned.

    `numbers` is what this server remembers of the numbers of GAPLESS sequences, and
    `progress` where these stand; without it, where their logs do.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        log: SequenceLog,
        allocator: Allocator,
        plans: Plans,
        clock: Clock,
        *,
        numbers: Callable[[int], Witness | None] = lambda _: None,
        progress: Progress | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._log = log
        self._allocator = allocator
        self._plans = plans
        self._directory = Directory(catalogue, clock)
        self._clock = clock
        self._numbers = numbers
        self._progress = progress

    async def create(self, wanted: Definition, holder: str) -> Standing:
        """Create a sequence, or answer the existing one with the same settings.

        Raises:
            MeshError: SEQUENCE_EXISTS, INVALID_ARGUMENT.
        """
        made = await self._directory.add(check(wanted), holder)
        if not made.same_ids(wanted) or made.name != wanted.name:
            raise MeshError(SequencerReason.SEQUENCE_EXISTS, metadata={"sequence": wanted.name})
        return await self._standing(made)

    async def get(self, name: str) -> Standing:
        """One sequence, with the days that its ids last.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """
        standing = await self._standing(await self._directory.known(name))
        return replace(standing, days_left=await self.days_left(standing))

    async def page(self, *, after: str, limit: int) -> ListOf[Standing]:
        """Sequences in the order of their names, beginning after one."""
        found = await self._catalogue.page(after=after, limit=limit)
        return [await self._standing(definition) for definition in found]

    async def update(
        self,
        name: str,
        holder: str,
        *,
        callers: tuple[Caller, ...] | None,
        retention_days: int | None,
        revision: int | None,
    ) -> Standing:
        """Change who may take ids, and for how long entries are kept; None leaves it.

        So it is with the sequence's periods from then on.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, SEQUENCE_CHANGED when `revision` is not its newest.
        """
        known = await self._directory.known(name)
        if revision is not None and revision != known.revision:
            raise MeshError(SequencerReason.SEQUENCE_CHANGED)
        values: dict[str, Any] = {} if callers is None else {"callers": callers}
        if callers is not None:  # those that it has may be from before some were refused
            check_callers(replace(known, callers=callers))
        if retention_days:
            values["retention_days"] = retention_days
        return await self._change_all(known, "settings", holder, **values)

    async def rename(self, name: str, new_name: str, holder: str) -> Standing:
        """Give a sequence another name; the old one goes on leading to it.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, NAME_TAKEN, SEQUENCE_CHANGED.
        """
        known = await self._directory.known(name)
        if known.name == new_name:
            return await self._standing(known)
        new, note = replace(known, name=new_name), f"renamed from {known.name}"
        return await self._change(new, note, holder, renamed=True)

    async def set_state(self, name: str, state: State, holder: str) -> Standing:
        """Drain a sequence and its periods, retire it, or open it again.

        Once more changes nothing, but tells all servers again.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, STATE_REFUSED, SEQUENCE_CHANGED.
        """
        known = await self._directory.known(name)
        if known.state is not state and (known.state, state) not in _STEPS:
            raise MeshError(
                SequencerReason.STATE_REFUSED,
                metadata={"from": known.state.name, "to": state.name},
            )
        return await self._change_all(known, state.name, holder, state=state)

    async def lease(self, name: str, wish: Wish) -> tuple[Definition, Entry]:
        """Grant a range: a returned one to a client without any, else the next ids.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, SEQUENCE_EXHAUSTED, SEQUENCE_CLOSED, KIND_MISMATCH,
                CALLER_NOT_ALLOWED, QUOTA_EXHAUSTED, FENCE_REFUSED, INVALID_ARGUMENT.
        """
        definition, entry = await self._allocator.append(
            name, self._plans.grant(wish), lambda serial: ledger.admit(serial, wish)
        )
        assert entry is not None
        return definition, entry

    async def stream(
        self, name: str, wish: Wish, count: int
    ) -> AsyncIterator[tuple[Definition, Entry]]:
        """Ranges of at most `wish.size` ids, each granted when it is asked for, `count` in all."""
        while count:
            definition, entry = await self.lease(name, replace(wish, size=min(wish.size, count)))
            yield definition, entry
            count -= entry.size
            wish = replace(wish, last=entry.tip.witness)

    async def take_back(
        self, name: str, holder: str, lease: tuple[int, int], used: int, *, lost: int = 0
    ) -> int:
        """Take back all of a lease but its first `used` ids; answers how many came back.

        `lease` is its number and mark; of the ids used the last `lost` may be lost.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, LEASE_NOT_FOUND, INVALID_ARGUMENT.
        """
        plan = self._plans.take_back(holder, *lease, used, lost=lost)
        _, entry = await self._allocator.append(name, plan)
        return entry.size if entry is not None else 0

    async def fence(self, name: str, at_least: int, holder: str) -> Standing:
        """Jump over all ids up to one, which may have been used.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, INVALID_ARGUMENT.
        """
        plan = self._plans.fence(at_least, holder)
        definition, _ = await self._allocator.append(
            name, plan, lambda serial: behind(serial, at_least)
        )
        return await self._standing(definition)

    async def entries(
        self, name: str, *, before: int, limit: int, only: EntryFilter
    ) -> tuple[Definition, ListOf[Entry]]:
        """What a log has, newest first, beginning below a number.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """
        definition = await self._directory.known(name)
        found = await self._log.entries(definition.uid, before=before, limit=limit, only=only)
        return definition, found

    async def holding(
        self, name: str, id_: int, *, before: int, limit: int
    ) -> tuple[Definition, ListOf[Entry]]:
        """The entries whose range holds an id, newest first: who got it when.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """
        standing = await self._standing(await self._directory.known(name))
        definition = standing.definition
        position = definition.position_of(id_, standing.tip.position)
        if position is None:
            return definition, []
        found = await self._log.holding(definition.uid, position, before=before, limit=limit)
        return definition, found

    async def usage(self, name: str, since: datetime, until: datetime) -> Mapping[str, Usage]:
        """What each caller took from `since` on and before `until`.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """
        definition = await self._directory.known(name)
        return await self._log.usage(definition.uid, since, until)

    async def witness(self, name: str) -> Witness | None:
        """The newest entry that this server has seen; None when it has seen none.

        Of a GAPLESS sequence that of its numbers.
        """
        found = await self._catalogue.find(name)
        if found is not None and found.kind is Kind.GAPLESS:
            return self._numbers(found.uid)
        return self._allocator.witness(found.uid) if found else None

    async def days_left(self, standing: Standing) -> float | None:
        """How many days the ids of a sequence last at the pace of the last week."""
        if standing.remaining is None:
            return None
        known, tip, now = standing.definition, standing.tip, self._clock.now()
        times = {"now": now, "create_time": known.create_time}
        if self._progress is not None and known.kind is Kind.GAPLESS:
            pace = await self._progress.daily_pace(known.uid, tip, **times)
        else:
            pace = await daily_pace(self._log, known.uid, tip, **times)
        return standing.remaining / pace if pace > 0 else None

    async def _change_all(
        self, known: Definition, note: str, holder: str, **values: Any
    ) -> Standing:
        """Change a sequence, and all its periods but those that are retired."""
        standing = await self._change(replace(known, **values), note, holder)
        children = await self._catalogue.children(known.uid)
        open_ = [replace(one, **values) for one in children if one.state is not State.RETIRED]
        for begin in range(0, len(open_), AT_ONCE):
            some = open_[begin : begin + AT_ONCE]
            await asyncio.gather(*(self._change(one, note, holder) for one in some))
        return standing

    async def _change(
        self, new: Definition, note: str, holder: str, *, renamed: bool = False
    ) -> Standing:
        """Keep a new revision, then have every server look at it before it appends again."""
        changed = replace(new, revision=new.revision + 1)
        try:
            kept = await self._catalogue.change(changed, renamed=renamed)
        except IntegrityViolation:
            raise MeshError(
                SequencerReason.NAME_TAKEN, metadata={"sequence": changed.name}
            ) from None
        if not kept:
            raise MeshError(SequencerReason.SEQUENCE_CHANGED)
        await self._allocator.append(changed.name, self._plans.announce(note, holder))
        return await self._standing(changed)

    async def _standing(self, definition: Definition) -> Standing:
        if self._progress is not None and definition.kind is Kind.GAPLESS:
            return Standing(definition=definition, tip=await self._progress.tip(definition.uid))
        tip = await self._log.tip(definition.uid)
        assert tip is not None, "a sequence has a log from its beginning"
        return Standing(definition=definition, tip=tip)
