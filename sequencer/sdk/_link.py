"""Blocking calls to whichever sequencer server answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from threading import Lock
from typing import Final, TypeAlias, TypeVar

import grpc

from mesh.blocking import BlockingChannel, Target
from mesh.context import Metadata
from mesh.errors import ErrorView
from mesh.lane.dial import Tls
from sequencer.sdk._errors import (
    NumbersLost,
    SequenceExhausted,
    SequenceNotFound,
    SequencerError,
    SequencerUnavailable,
    WorkerLost,
)

ATTEMPT_S: Final = 0.8
"""How long one server may take while there is another to ask, in seconds."""

AVOIDED_S: Final = 5.0
"""How long a server that did not answer is asked after the others, in seconds."""

Request = TypeVar("Request")
Response = TypeVar("Response")
Method: TypeAlias = "Callable[[grpc.Channel], grpc.UnaryUnaryMultiCallable[Request, Response]]"
"""Finds a method on a channel: `lambda channel: SequencerServiceStub(channel).LeaseRange`."""

_REASONS: Final[dict[str, type[SequencerError]]] = {
    "SEQUENCE_EXHAUSTED": SequenceExhausted,
    "SEQUENCE_NOT_FOUND": SequenceNotFound,
    "QUOTA_EXHAUSTED": SequencerError,
    "LAYOUT_EXHAUSTED": SequenceExhausted,
    "WORKER_LOST": WorkerLost,
    "NUMBERS_NOT_HELD": NumbersLost,
    "NUMBERS_VOID": NumbersLost,
    "NUMBERS_IN_DOUBT": NumbersLost,
}
_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""Codes that trying again in a moment does not change; all others do."""

_SILENCE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)
"""Codes after which another server is asked, but for contention, which that would add to."""


class Link:
    """Connections to the sequencer's servers, opened as they are needed.

    One server answers for a key as a rule, so that servers need not compete for
    a sequence; when it is silent the next one is asked. In a forked child
    connections are opened anew, and its parent's left alone. Any number of
    threads may call.

    Args:
        targets: the servers' addresses, "host:port" or "unix:/path", or their
            endpoints; asked at each call, may raise SequencerUnavailable.
        credentials: the metadata that proves who calls; asked at each call.
        tls: what servers on other hosts are shown (`mesh.tls`).
    """

    def __init__(
        self,
        targets: Callable[[], Sequence[Target]],
        credentials: Callable[[], Metadata] = tuple,
        tls: Tls | None = None,
    ) -> None:
        self._targets = targets
        self._tls = tls
        self._credentials = credentials
        self._avoided: dict[Target, float] = {}
        self._open = _Open(tls)
        self._abandoned: list[_Open] = []

    def call(
        self, key: str, method: Method[Request, Response], request: Request, *, timeout_s: float
    ) -> Response:
        """Call `method` on the server that `key` ranks first, or on one after it.

        The call may run on several servers, when one was silent after all.

        Raises:
            SequencerError: of the kind that tells what went wrong.
        """
        give_up = time.monotonic() + timeout_s
        *early, last = self._ranked(key)
        for target in early:
            left = give_up - time.monotonic()
            try:
                return self._attempt(target, method, request, min(ATTEMPT_S, left))
            except _SilentError:
                continue
        try:
            return self._attempt(last, method, request, max(give_up - time.monotonic(), 0.0))
        except _SilentError as error:
            raise translated(error.cause) from error.cause

    def close(self) -> None:
        """Close connections as calls leave them. A later call opens them anew."""
        opened, self._open = self._open, _Open(self._tls)
        if opened.pid == os.getpid():
            opened.keep(frozenset())
        else:
            self._abandoned.append(opened)

    def _ranked(self, key: str) -> list[Target]:
        """All targets: those that answered lately first, and each key in an order of its own."""
        targets, now = self._targets(), time.monotonic()
        if not targets:
            raise SequencerUnavailable("No instance of the sequencer is registered")
        self._channels().keep(frozenset(targets))
        for gone in self._avoided.keys() - set(targets):
            self._avoided.pop(gone, None)
        return sorted(
            targets, key=lambda target: (self._avoided.get(target, now) > now, _rank(key, target))
        )

    def _attempt(
        self, target: Target, method: Method[Request, Response], request: Request, timeout_s: float
    ) -> Response:
        try:
            with self._channels().using(target, self._credentials) as channel:
                answer = method(channel)(request, timeout=timeout_s)
        except grpc.RpcError as error:
            view = ErrorView.from_rpc(error)
            if view.code not in _SILENCE or view.reason == "SEQUENCE_CONTENDED":
                raise translated(error) from error
            if not view.reason:  # it was not the server that answered
                self._avoided[target] = time.monotonic() + AVOIDED_S
            raise _SilentError(error) from error
        self._avoided.pop(target, None)
        return answer

    def _channels(self) -> _Open:
        if self._open.pid != os.getpid():
            self.close()
        return self._open


class _SilentError(Exception):
    """A server did not answer."""

    def __init__(self, cause: grpc.RpcError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Channel:
    """An open channel, and how many calls use it."""

    def __init__(
        self, target: Target, credentials: Callable[[], Metadata], tls: Tls | None
    ) -> None:
        self.channel = BlockingChannel(target, credentials, service="sequencer", tls=tls)
        self.users = 0
        self.wanted = True

    def close_if_unused(self) -> None:
        """Close it, unless it is wanted or used."""
        if not (self.wanted or self.users):
            self.channel.close()


class _Open:
    """The channels that one process has opened."""

    def __init__(self, tls: Tls | None) -> None:
        self.pid = os.getpid()
        self._tls = tls
        self._lock = Lock()
        self._channels: dict[Target, _Channel] = {}

    @contextmanager
    def using(self, target: Target, credentials: Callable[[], Metadata]) -> Iterator[grpc.Channel]:
        """The channel to `target`, which stays open within the block."""
        with self._lock:
            if target not in self._channels:
                self._channels[target] = _Channel(target, credentials, self._tls)
            used = self._channels[target]
            used.users += 1
        try:
            yield used.channel
        finally:
            with self._lock:
                used.users -= 1
                used.close_if_unused()

    def keep(self, targets: frozenset[Target]) -> None:
        """Close the channels to all others, those in use when their last call ends."""
        if self._channels.keys() <= targets:
            return
        with self._lock:
            for target in self._channels.keys() - targets:
                gone = self._channels.pop(target)
                gone.wanted = False
                gone.close_if_unused()


def translated(error: grpc.RpcError) -> SequencerError:
    """The SDK's error for a failed call."""
    view = ErrorView.from_rpc(error)
    text = f"{view.code.name}: {view.message}"
    if view.reason in _REASONS:
        return _REASONS[view.reason](text)
    return SequencerError(text) if view.code in _REFUSALS else SequencerUnavailable(text)


def _rank(key: str, target: Target) -> bytes:
    """Rendezvous hashing: keys spread evenly, and move only when their first target goes."""
    address = target if isinstance(target, str) else target.address
    return blake2b(f"{key}@{address}".encode(), digest_size=8).digest()
