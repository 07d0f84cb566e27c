"""Ranges from this process's memory, for tests and programs of one process."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from threading import Lock

from sequencer.sdk._errors import SequenceExhausted, SequenceNotFound, SequencerError
from sequencer.sdk._source import Lease, LeaseRequest

MAX_ID = 2**63 - 1


@dataclass(slots=True)
class _State:
    """One sequence: what was granted, and what came back."""

    last_id: int
    max_value: int
    lease_number: int = 0
    granted: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    returned: list[tuple[int, int]] = field(default_factory=list)


class LocalRangeSource:
    """A `RangeSource` that forgets everything when the process ends.

    It refuses to work in a forked child, whose copy would grant the same ids again.
    """

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}
        self._lock = Lock()
        self._pid = os.getpid()

    def create(self, name: str, *, start: int = 1, max_value: int = MAX_ID) -> None:
        """Create a sequence that runs from `start` to `max_value`; an existing one stays."""
        self._states.setdefault(name, _State(start - 1, max_value))

    def ensure(self, name: str, *, timeout_s: float) -> None:  # noqa: ARG002 - of the protocol
        self.create(name)

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:  # noqa: ARG002
        with self._lock:
            state = self._state(request.name)
            first, stop = self._range(state, request)
            number = max(state.lease_number, request.last_lease_number) + 1
            state.lease_number = number
            state.granted[number] = (request.client_id, first, stop)
            return Lease(number=number, first=first, size=stop - first)

    def give_back(
        self,
        name: str,
        client_id: str,
        lease_number: int,
        first_unused: int,
        *,
        timeout_s: float,  # noqa: ARG002 - of the protocol
    ) -> None:
        with self._lock:
            state = self._state(name)
            holder, first, stop = state.granted.get(lease_number, ("", 0, 0))
            if holder == client_id and first <= first_unused < stop:
                del state.granted[lease_number]
                state.returned.append((first_unused, stop))

    def close(self) -> None:
        pass

    def _state(self, name: str) -> _State:
        if os.getpid() != self._pid:
            raise SequencerError("A local source serves only the process that made it")
        if name not in self._states:
            raise SequenceNotFound(f"There is no sequence {name!r}")
        return self._states[name]

    def _range(self, state: _State, request: LeaseRequest) -> tuple[int, int]:
        if state.returned and not request.last_lease_number:
            first, stop = state.returned.pop(0)
            taken = min(stop, first + request.size)
            if taken < stop:
                state.returned.insert(0, (taken, stop))
            return first, taken
        first = max(state.last_id, request.last_id) + 1
        if first > state.max_value:
            raise SequenceExhausted(f"Sequence {request.name!r} has no ids left")
        state.last_id = min(first + request.size - 1, state.max_value)
        return first, state.last_id + 1
