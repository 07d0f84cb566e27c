"""What can be done with workers: acquire, renew, release, look who held one.

Each change is one transaction, which first compares what the store says with
what this server and the client remember. A store that was put back to an older
copy shows there, and no window begins where a forgotten one may have been.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.telemetry import Meters
from sequencer.definition import Definition, Kind, State, invalid
from sequencer.errors import SequencerReason
from sequencer.sdk.layout import Decoded, Layout
from sequencer.snowflake import rules
from sequencer.snowflake.errors import WorkerReason
from sequencer.snowflake.rules import Demand, Head, Moment, Vacancy, Window
from sequencer.snowflake.watch import WorkerWatch


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

    async def known(self, name: str) -> Definition:
        """The sequence that has or had a name; looking at one never makes it.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """


class Workers:
    """The use cases of snowflake sequences. A window is safe once a call has returned.

    Args:
        store: the workers.
        names: the sequences.
        watch: finds out that the store was put back.
        clock: what time it is; it may be wrong.
        meters: counts leases.
    """

    def __init__(
        self, store: WorkerStore, names: Names, watch: WorkerWatch, clock: Clock, meters: Meters
    ) -> None:
        self._store = store
        self._names = names
        self._watch = watch
        self._clock = clock
        self._leased = meters.counter("sequencer.workers_leased")
        self._renewed = meters.counter("sequencer.workers_renewed")

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
            known = Head(position=last_tick + 1) if asked.is_believed else None
            head = self._watch.compared(definition, await unit.head(), known, moment)
            vacancy = await unit.vacancy(moment.after(rules.GRACE_S))
            head, window = rules.leased(head, vacancy, demand, moment)
            await unit.move(head)
            await unit.begin(window)
            kept = layout.ticks_in(definition.retention_days * 86_400)
            await unit.forget(window.worker_id, moment.tick - kept)
        self._watch.note(definition, head, moment)
        self._leased.add()
        return Lease(window=window, moment=moment)

    async def renew(self, asked: Asked, held: Held, *, window_s: float) -> Lease:
        """Extend the window of a worker; it never becomes shorter.

        Raises:
            MeshError: WORKER_LOST, and as `acquire` does.
        """
        definition, layout = await self._open(asked)
        told = Head(number=held.token, position=held.until_tick)
        known = told if asked.is_believed else None
        async with self._store.unit(definition.uid) as unit:
            moment = self._moment(layout)
            head = self._watch.compared(definition, await unit.head(), known, moment)
            window = _mine(await unit.window(held.worker_id), asked, held.token)
            if window is not None and rules.is_doubtful(head, window):
                window = None
            if window is not None:
                head, window = rules.extended(head, window, window_s, held.now_tick, moment)
                await unit.change(window)
            await unit.move(head)
        self._watch.note(definition, head, moment)
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
        definition = await self._names.known(name)
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


def _mine(window: Window | None, asked: Asked, token: int) -> Window | None:
    """The window, if the caller holds it and says the proof."""
    if window is None or (window.holder, window.token) != (asked.holder, token):
        return None
    return window
