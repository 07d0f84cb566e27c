"""What the methods of a blocking channel send by: targets, proofs, and a process's connections.

Whatever is open belongs to one process. A forked child finds its parent's connections in
its memory and must not touch them: it opens its own, and keeps the others as they are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import finalize

import grpc

from mesh.blocking._ending import Ending, LaneRpcError
from mesh.blocking._plain import Plain
from mesh.blocking._thread import LaneThread
from mesh.context import Metadata
from mesh.errors import MeshError, MeshReason
from mesh.lane.blocks import Shared
from mesh.lane.dial import Endpoint, Way, can_dial
from mesh.lane.hello import Prove

MAX_KEPT: Final = 1_024
"""Proofs whose metadata, and targets whose lanes are known, that a channel keeps ready."""

Target = str | Endpoint
Targets = Target | Sequence[Target] | Callable[[], Target | Sequence[Target]]

_INHERITED: Final[list[Process]] = []
"""What a forked child must neither use nor let be cleared away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a channel's calls are made.

    `service` is for messages, `proofs` are asked at each call, `timeout_s` bounds calls
    that state no bound, `prove` signs the hello of lanes.
    """

    service: str
    proofs: Callable[[], Metadata]
    timeout_s: float
    way: Way
    prove: Prove | None


class Process:
    """What one process has open of a channel."""

    def __init__(self, terms: Terms) -> None:
        self._pid = os.getpid()
        self.plain = Plain(terms.way.tls)
        self.thread = LaneThread(terms.way, terms.prove)

    def close(self) -> None:
        """Close all, and wait for the end of the thread."""
        self.thread.close()
        self.plain.close()

    def let_go(self) -> None:
        """Close what nobody can use any more."""
        if self._pid == os.getpid():
            self.thread.close(wait=False)
        else:
            _INHERITED.append(self)


class Sender:
    """Held by all methods of a channel. Any thread may use it."""

    def __init__(self, targets: Targets, terms: Terms) -> None:
        self._ask = targets if callable(targets) else None
        self._terms = terms
        self._usable: dict[Target, Endpoint] = {}
        self._static = () if callable(targets) else self._endpoints(targets)
        self._shared: dict[Metadata, Shared] = {}
        self._processes: dict[int, Process] = {}
        self._is_closed = False

    @property
    def process(self) -> Process:
        """What this process has open.

        Raises:
            ValueError: the channel is closed.
        """
        if self._is_closed:
            raise ValueError("Cannot invoke RPC on closed channel!")
        found = self._processes.get(os.getpid())
        return self._begin() if found is None else found

    def targets(self) -> Sequence[Endpoint]:
        """Where the next call may go.

        Raises:
            LaneRpcError: there is nowhere.
        """
        found = self._static if self._ask is None else self._endpoints(self._ask())
        if not found:
            text = f"No instance of '{self._terms.service}' can be reached"
            raise LaneRpcError(Ending.of_error(MeshError(MeshReason.UNAVAILABLE, text)))
        return found

    def timeout_s(self, given: float | None) -> float:
        """Seconds that a call may take."""
        return self._terms.timeout_s if given is None else given

    def due(self, timeout_s: float | None) -> float:
        """When a call made now must be answered, in seconds of `time.monotonic()`."""
        return time.monotonic() + self.timeout_s(timeout_s)

    def pairs(self, given: Any) -> list[tuple[str, str | bytes]]:
        """The metadata of a call made now."""
        return [*self._terms.proofs(), *(given or ())]

    def shared(self) -> Shared | None:
        """Of it the proofs; the same object as long as they are the same."""
        proofs = tuple(self._terms.proofs())
        if not proofs:
            return None
        found = self._shared.get(proofs)
        if found is None:
            if len(self._shared) >= MAX_KEPT:
                self._shared = {}
            found = self._shared[proofs] = Shared(proofs)
        return found

    def first_plain(self) -> grpc.Channel:
        """The plain channel to the first target."""
        return self.process.plain.channel(self.targets()[0].address)

    def close(self) -> None:
        """Close what this process has open."""
        self._is_closed = True
        process = self._processes.get(os.getpid())
        if process is not None:
            process.close()

    def _begin(self) -> Process:
        fresh = Process(self._terms)
        process = self._processes.setdefault(os.getpid(), fresh)
        if process is fresh:
            finalize(self, process.let_go)
        return process

    def _endpoints(self, given: Target | Sequence[Target]) -> Sequence[Endpoint]:
        if isinstance(given, str | Endpoint):
            given = (given,)
        return [self._usable.get(target) or self._learn(target) for target in given]

    def _learn(self, target: Target) -> Endpoint:
        """An endpoint, without lanes that cannot be dialled from here."""
        endpoint = Endpoint(target) if isinstance(target, str) else target
        if not can_dial(endpoint, self._terms.way):
            endpoint = Endpoint(endpoint.address)
        if len(self._usable) >= MAX_KEPT:
            self._usable = {}
        self._usable[target] = endpoint
        return endpoint
