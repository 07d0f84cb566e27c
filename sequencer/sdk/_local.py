"""Ranges from this process's memory, for tests and programs of one process."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from threading import Lock

from sequencer.sdk._errors import SequenceExhausted, SequenceNotFound, SequencerError
from sequencer.sdk._source import Lease, LeaseRequest, Tail, Witness

MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Entry:
    """Who got which positions, under which mark."""

    mark: int
    client_id: str
    position: int
    size: int


@dataclass(slots=True)
class _State:
    """One sequence: what was granted, and what came back."""

    start: int
    increment: int
    positions: int
    position: int = 0
    number: int = 0
    epoch: int = 0
    fence: int = 0
    granted: dict[int, _Entry] = field(default_factory=dict)
    returned: list[tuple[int, int]] = field(default_factory=list)

    def fence_off(self, last: Witness) -> None:
        """Jump over what a client was granted by a log that is not this one."""
        entry = self.granted.get(last.number)
        known = entry is not None and entry.mark == last.mark
        if known or (last.epoch < self.epoch and last.position <= self.fence):
            return
        self.epoch = max(self.epoch, last.epoch) + 1
        self.number = max(self.number, last.number) + 1
        self.position = self.fence = max(self.position, last.position)

    def take(self, size: int, *, first: bool) -> tuple[int, int]:
        """Position and size of a range; a client's first one may be a returned tail."""
        if self.returned and first:
            position, stop = self.returned.pop(0)
            taken = min(stop, position + size)
            if taken < stop:
                self.returned.insert(0, (taken, stop))
            return position, taken - position
        position = self.position
        self.position = min(position + size, self.positions)
        return position, self.position - position


class LocalRangeSource:
    """A `RangeSource` that forgets everything when the process ends.

    It refuses to work in a forked child, whose copy would grant the same ids again.
    """

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}
        self._lock = Lock()
        self._pid = os.getpid()

    def create(
        self, name: str, *, start: int = 1, max_value: int = MAX_ID, increment: int = 1
    ) -> None:
        """Create a sequence that counts from `start`; an existing one stays.

        It ends at `max_value`, or at its negative where the increment is negative.
        """
        end = max_value if increment > 0 else -max_value
        self._states.setdefault(name, _State(start, increment, (end - start) // increment + 1))

    def ensure(
        self,
        name: str,
        *,
        strict: bool = False,  # noqa: ARG002 - of the protocol
        timeout_s: float,  # noqa: ARG002 - of the protocol
    ) -> None:
        self.create(name)

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:  # noqa: ARG002
        with self._lock:
            state = self._state(request.name)
            if request.last is not None:
                state.fence_off(request.last)
            fresh = request.last is None and not request.strict
            position, size = state.take(request.size, first=fresh)
            if not size:
                raise SequenceExhausted(f"Sequence {request.name!r} has no ids left")
            state.number += 1
            entry = _Entry(secrets.randbits(63), request.client_id, position, size)
            state.granted[state.number] = entry
            return Lease(
                number=state.number,
                mark=entry.mark,
                epoch=state.epoch,
                position=state.position,
                first=state.start + position * state.increment,
                size=size,
                increment=state.increment,
            )

    def give_back(self, tail: Tail, *, timeout_s: float) -> None:  # noqa: ARG002 - of the protocol
        with self._lock:
            state = self._state(tail.name)
            entry = state.granted.get(tail.lease_number)
            if entry is None or (entry.mark, entry.client_id) != (tail.mark, tail.client_id):
                return
            if 0 <= tail.used < entry.size:
                state.granted[tail.lease_number] = _Entry(
                    entry.mark, entry.client_id, entry.position, tail.used
                )
                state.returned.append((entry.position + tail.used, entry.position + entry.size))

    def close(self) -> None:
        pass

    def _state(self, name: str) -> _State:
        if os.getpid() != self._pid:
            raise SequencerError("A local source serves only the process that made it")
        if name not in self._states:
            raise SequenceNotFound(f"There is no sequence {name!r}")
        return self._states[name]
