"""What can be done with workers: acquire, renew, release, look who held one.

Each change is one transaction, which first compares what the store says with
what this server and the client remember. A store that was put back to an older
copy shows there, and no window begins where a forgotten one may have been.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.telemetry import Meters
from sequencer.definition import Definition, Kind, State, invalid
from sequencer.entry import Witness
from sequencer.errors import SequencerReason
from sequencer.sdk.layout import Decoded, Layout
from sequencer.snowflake import rules
from sequencer.snowflake.errors import WorkerReason
from sequencer.snowflake.rules import Demand, Head, Moment, Vacancy, Window

WARN_DAYS: Final = 3 * 365
"""Before the time bits run out it is logged for so long."""

_log: Final = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What all changes say: the sequence, and who asks ("actor/client").

    `is_believed` is whether he may know of what the store does not.
    """

    name: str
    holder: str
    is_believed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A worker as its holder knows it: the proof, the end of the window, the present tick."""

    worker_id: int
    token: int
    until_tick: int
    now_tick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A window, and by which time it was granted."""

    window: Window
    moment: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The parts of an id, and the window in which it was made.

    There is none when nobody held the worker id then, so that the sequence cannot
    have given the id, or when that is forgotten by now.
    """

    parts: Decoded
    window: Window | None
    layout: Layout


class Unit(Protocol):
    """One transaction over the workers of a sequence; nobody else changes them meanwhile."""

    async def head(self) -> Head:
        """Where the sequence stands."""

    async def vacancy(self, by_tick: int) -> Vacancy:
        """What there is to lease, by a tick."""

    async def window(self, worker_id: int) -> Window | None:
        """The newest window of a worker id."""

    async def move(self, head: Head) -> None:
        """Keep where the sequence stands."""

    async def begin(self, window: Window) -> None:
        """Keep a new window, and the one before it as a past one."""

    async def change(self, window: Window) -> None:
        """Keep another end of the newest window of its worker id."""

    async def forget(self, worker_id: int, before_tick: int) -> None:
        """Drop past windows of a worker id that ended before a tick."""


class WorkerStore(Protocol):
    """The workers of all sequences."""

    def unit(self, uid: int) -> AbstractAsyncContextManager[Unit]:
        """A transaction over a sequence; durable when the block has ended."""

    async def windows(self, uid: int, *, after: int, limit: int) -> Sequence[Window]:
        """The newest window of each worker id above `after`."""

    async def window_at(self, uid: int, worker_id: int, tick: int) -> Window | None:
        """The window of a worker id in which a tick lies."""


class Names(Protocol):
    """The sequences that there are."""

    async def definition(self, name: str) -> Definition:
        """The sequence that has or had a name.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """


class Journal(Protocol):
    """What the servers of this host have seen, kept on its own disk."""

    def note(self, sequence: int, witness: Witness) -> None:
        """Remember a witness, unless a newer one is known."""

    def read(self, sequence: int) -> Witness | None:
        """The newest witness of a sequence."""


class Workers:
    """The use cases of snowflake sequences. A window is safe once a call has returned.

    Args:
        store: the workers.
        names: the sequences.
        journal: shows that the store was put back. It is shared with the logs of
            sequences, which have witnesses of their own.
        clock: what time it is; it may be wrong.
        meters: counts leases.
    """

    def __init__(
        self, store: WorkerStore, names: Names, journal: Journal, clock: Clock, meters: Meters
    ) -> None:
        self._store = store
        self._names = names
        self._journal = journal
        self._clock = clock
        self._leased = meters.counter("sequencer.workers_leased")
        self._renewed = meters.counter("sequencer.workers_renewed")
        self._fence_jumps = meters.counter("sequencer.fence_jumps")
        self._days_left: dict[int, int] = {}
        meters.gauge(
            "sequencer.snowflake_days_left", lambda: min(self._days_left.values(), default=0)
        )

    async def acquire(self, asked: Asked, *, window_s: float, last_tick: int = -1) -> Lease:
        """Lease a worker id that nobody holds, with a window behind `last_tick`.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH, SEQUENCE_CLOSED,
                CALLER_NOT_ALLOWED, WORKERS_EXHAUSTED, CLOCK_BEHIND,
                LAYOUT_EXHAUSTED, FENCE_REFUSED.
        """
        definition, layout = await self._open(asked)
        demand = Demand(holder=asked.holder, window_s=window_s, last_tick=last_tick)
        async with self._store.unit(definition.uid) as unit:
            moment = self._moment(layout)
            head = await self._head(unit, definition, Head(position=last_tick + 1), asked, moment)
            vacancy = await unit.vacancy(moment.after(rules.GRACE_S))
            head, window = rules.leased(head, vacancy, demand, moment)
            await unit.move(head)
            await unit.begin(window)
            kept = layout.ticks_in(definition.retention_days * 86_400)
            await unit.forget(window.worker_id, moment.tick - kept)
        self._note(definition, head, moment)
        self._leased.add()
        return Lease(window=window, moment=moment)

    async def renew(self, asked: Asked, held: Held, *, window_s: float) -> Lease:
        """Extend the window of a worker; it never becomes shorter.

        Raises:
            MeshError: WORKER_LOST, and as `acquire` does.
        """
        definition, layout = await self._open(asked)
        known = Head(number=held.token, position=held.until_tick)
        async with self._store.unit(definition.uid) as unit:
            moment = self._moment(layout)
            head = await self._head(unit, definition, known, asked, moment)
            window = _mine(await unit.window(held.worker_id), asked, held.token)
            if window is not None:
                head, window = rules.extended(head, window, window_s, held.now_tick, moment)
                await unit.change(window)
            await unit.move(head)
        self._note(definition, head, moment)
        if window is None:
            raise MeshError(WorkerReason.WORKER_LOST)
        self._renewed.add()
        return Lease(window=window, moment=moment)

    async def release(self, asked: Asked, *, worker_id: int, token: int, next_tick: int) -> bool:
        """Let others have a window from `next_tick` on; False when the caller does not hold it.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH.
        """
        definition, _ = await self._known(asked.name)
        async with self._store.unit(definition.uid) as unit:
            window = _mine(await unit.window(worker_id), asked, token)
            if window is not None:
                await unit.change(rules.released(window, next_tick))
        return window is not None

    async def windows(self, name: str, *, after: int, limit: int) -> Sequence[Window]:
        """The newest window of each worker id above `after`.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH.
        """
        definition, _ = await self._known(name)
        return await self._store.windows(definition.uid, after=after, limit=limit)

    async def layout(self, name: str) -> tuple[Layout, int]:
        """The layout of a sequence, and the days until its time bits run out.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH.
        """
        _, layout = await self._known(name)
        return layout, layout.days_left(self._moment(layout).tick)

    async def holder_of(self, name: str, id_: int) -> Origin:
        """Where an id comes from.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH, INVALID_ARGUMENT.
        """
        definition, layout = await self._known(name)
        try:
            parts = layout.decode(id_)
        except ValueError as error:
            raise invalid("id", "has more bits than ids of the sequence") from error
        window = await self._store.window_at(definition.uid, parts.worker_id, parts.tick)
        return Origin(parts=parts, window=window, layout=layout)

    async def _known(self, name: str) -> tuple[Definition, Layout]:
        definition = await self._names.definition(name)
        if definition.kind is not Kind.SNOWFLAKE or definition.layout is None:
            raise MeshError(
                SequencerReason.KIND_MISMATCH,
                f"The sequence '{name}' is of kind {definition.kind.name}",
                metadata={"sequence": name, "kind": definition.kind.name},
            )
        return definition, definition.layout

    async def _open(self, asked: Asked) -> tuple[Definition, Layout]:
        definition, layout = await self._known(asked.name)
        if definition.state is not State.ACTIVE:
            raise MeshError(
                SequencerReason.SEQUENCE_CLOSED,
                metadata={"sequence": asked.name, "state": definition.state.name},
            )
        caller = asked.holder.partition("/")[0]
        if not definition.allows(caller):
            raise MeshError(SequencerReason.CALLER_NOT_ALLOWED, metadata={"caller": caller})
        return definition, layout

    def _moment(self, layout: Layout) -> Moment:
        return Moment(layout=layout, tick=layout.tick_at(self._clock.now()))

    async def _head(
        self, unit: Unit, definition: Definition, client: Head, asked: Asked, moment: Moment
    ) -> Head:
        """Where the sequence stands, after what is known to have been granted."""
        stored = head = await unit.head()
        if (own := self._journal.read(journal_key(definition.uid))) is not None:
            head = rules.fenced(head, Head(number=own.number, position=own.position), moment)
        if asked.is_believed:
            head = rules.fenced(head, rules.checked(client, moment), moment)
        if head != stored:
            self._fence_jumps.add()
            _log.error(
                "worker_store_behind",
                sequence=definition.name,
                stored=stored.number,
                known=head.number - 1,
                floor=moment.layout.time_of(head.floor).isoformat(),
            )
        return head

    def _note(self, definition: Definition, head: Head, moment: Moment) -> None:
        """Remember a durable change, and tell of what will need somebody's attention."""
        witness = Witness(number=head.number, mark=0, epoch=0, position=head.position)
        self._journal.note(journal_key(definition.uid), witness)
        days = self._days_left[definition.uid] = moment.layout.days_left(moment.tick)
        if days < WARN_DAYS:
            _log.warning("snowflake_time_runs_out", sequence=definition.name, days_left=days)
        if rules.is_clock_behind(head, moment):
            _log.error(
                "snowflake_clock_behind",
                sequence=definition.name,
                leased_until=moment.layout.time_of(head.position).isoformat(),
            )


def journal_key(uid: int) -> int:
    """Under what a sequence's windows stand in the journal: not what its log stands under."""
    digest = hashlib.blake2b(b"snowflake%d" % uid, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _mine(window: Window | None, asked: Asked, token: int) -> Window | None:
    """The window, if the caller holds it and says the proof."""
    if window is None or (window.holder, window.token) != (asked.holder, token):
        return None
    return window
