"""What the sequencer does: create, look up, lease, take back."""

from __future__ import annotations

from collections.abc import Sequence as ListOf
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.telemetry import Meters
from sequencer import domain
from sequencer.domain import Change, Demand, Lease, Sequence
from sequencer.errors import SequencerReason

_log: Final = get_logger(__name__)


class Unit(Protocol):
    """One transaction over one sequence; nobody else changes the sequence meanwhile."""

    async def sequence(self) -> Sequence | None:
        """The sequence; None when there is none."""

    async def lease(self, number: int) -> Lease | None:
        """One lease of the sequence."""

    async def returned(self) -> Lease | None:
        """The lowest returned range that still holds ids."""

    async def create(self, sequence: Sequence) -> None:
        """Add the sequence, which must not exist."""

    async def apply(self, change: Change) -> None:
        """Store the change."""


class SequenceStore(Protocol):
    """Sequences and their leases."""

    def unit(self, name: str) -> AbstractAsyncContextManager[Unit]:
        """A transaction over the sequence `name`; durable when the block has ended."""

    async def sequence(self, name: str) -> Sequence | None:
        """One sequence."""

    async def sequences(self, *, after: str, limit: int) -> ListOf[Sequence]:
        """Sequences in the order of their names, beginning after one."""

    async def leases(self, name: str, *, before: int, limit: int) -> ListOf[Lease]:
        """Leases with ids, newest first, beginning below a number."""

    async def lease_of(self, name: str, id_: int) -> Lease | None:
        """The lease that holds an id."""


class Sequencer:
    """The use cases of the sequencer. Ids are safe once a call has returned."""

    def __init__(self, store: SequenceStore, clock: Clock, meters: Meters) -> None:
        self._store = store
        self._clock = clock
        self._ids_leased = meters.counter("sequencer.ids_leased")
        self._ids_returned = meters.counter("sequencer.ids_returned")
        self._fence_jumps = meters.counter("sequencer.fence_jumps")

    async def create(self, name: str, *, start: int = 0, max_value: int = 0) -> Sequence:
        """Create a sequence, or answer the existing one with the same settings.

        Raises:
            MeshError: SEQUENCE_EXISTS, INVALID_ARGUMENT.
        """
        wanted = domain.new_sequence(name, start=start, max_value=max_value, now=self._clock.now())
        async with self._store.unit(name) as unit:
            existing = await unit.sequence()
            if existing is None:
                await unit.create(wanted)
                return wanted
        if (existing.start, existing.max_value) != (wanted.start, wanted.max_value):
            raise MeshError(
                SequencerReason.SEQUENCE_EXISTS,
                metadata={"start": str(existing.start), "max_value": str(existing.max_value)},
            )
        return existing

    async def get(self, name: str) -> Sequence:
        """One sequence.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """
        return _known(name, await self._store.sequence(name))

    async def sequences(self, *, after: str, limit: int) -> ListOf[Sequence]:
        """Sequences in the order of their names, beginning after one."""
        return await self._store.sequences(after=after, limit=limit)

    async def leases(self, name: str, *, before: int, limit: int) -> ListOf[Lease]:
        """Leases of a sequence, newest first, beginning below a number.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """
        await self.get(name)
        return await self._store.leases(name, before=before, limit=limit)

    async def lease_of(self, name: str, id_: int) -> Lease | None:
        """The lease that holds an id: who got it when. None when it was never granted.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND.
        """
        await self.get(name)
        return await self._store.lease_of(name, id_)

    async def lease(self, name: str, demand: Demand) -> Lease:
        """Grant a range: a returned one to a client without any, else the next ids.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, SEQUENCE_EXHAUSTED, FENCE_REFUSED,
                INVALID_ARGUMENT.
        """
        async with self._store.unit(name) as unit:
            sequence = _known(name, await unit.sequence())
            fenced = domain.fence(sequence, demand)
            tail = await unit.returned() if demand.is_first else None
            if tail is None:
                change = domain.grant(fenced, demand, self._clock.now())
            else:
                change = domain.regrant(fenced, tail, demand, self._clock.now())
            await unit.apply(change)
        self._ids_leased.add(change.added.size)
        if fenced != sequence:
            self._alarm(sequence, fenced)
        return change.added

    async def take_back(
        self, name: str, *, client_id: str, lease_number: int, first_unused: int
    ) -> int:
        """Take back the tail of a lease; answers how many ids came back.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, LEASE_NOT_FOUND, INVALID_ARGUMENT.
        """
        async with self._store.unit(name) as unit:
            sequence = _known(name, await unit.sequence())
            lease = await unit.lease(lease_number)
            if lease is None or lease.client_id != client_id:
                raise MeshError(SequencerReason.LEASE_NOT_FOUND)
            change = domain.take_back(sequence, lease, first_unused, self._clock.now())
            if change is None:
                return 0
            await unit.apply(change)
        self._ids_returned.add(change.added.size)
        return change.added.size

    def _alarm(self, stored: Sequence, fenced: Sequence) -> None:
        self._fence_jumps.add()
        _log.error(
            "sequence_store_behind_client",
            sequence=stored.name,
            ids_jumped=fenced.last_value - stored.last_value,
            leases_jumped=fenced.lease_number - stored.lease_number,
        )


def _known(name: str, sequence: Sequence | None) -> Sequence:
    if sequence is None:
        raise MeshError(
            SequencerReason.SEQUENCE_NOT_FOUND,
            f"There is no sequence '{name}'",
            metadata={"sequence": name},
        )
    return sequence
