"""Ranges from the sequencer service, over a blocking channel."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import grpc

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2_grpc as pb_grpc
from mesh.blocking import blocking_channel
from mesh.context import CALLER, Metadata
from mesh.errors import ErrorView
from sequencer.sdk._errors import (
    SequenceExhausted,
    SequenceNotFound,
    SequencerError,
    SequencerUnavailable,
)
from sequencer.sdk._source import Lease, LeaseRequest

_REASONS: dict[str, type[SequencerError]] = {
    "SEQUENCE_EXHAUSTED": SequenceExhausted,
    "SEQUENCE_NOT_FOUND": SequenceNotFound,
}
_REFUSALS = frozenset(
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


class GrpcRangeSource:
    """A `RangeSource` that is the sequencer service.

    The channel is opened at the first call, and anew in a forked child and when
    the target has moved.

    Args:
        target: "host:port" or "unix:/path", or a function that answers it and
            may raise SequencerUnavailable.
        credentials: the metadata that proves who calls; asked at each call.
    """

    def __init__(
        self, target: str | Callable[[], str], credentials: Callable[[], Metadata] = tuple
    ) -> None:
        self._target = target if callable(target) else lambda: target
        self._credentials = credentials
        self._channel: _Channel | None = None
        self._abandoned: list[_Channel] = []

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        message = pb.LeaseRangeRequest(
            name=request.name,
            client_id=request.client_id,
            size=request.size,
            last_lease_number=request.last_lease_number,
            last_id=request.last_id,
        )
        try:
            lease = self._stub().LeaseRange(message, timeout=timeout_s).lease
        except grpc.RpcError as error:
            raise translated(error) from error
        return Lease(number=lease.lease_number, first=lease.first, size=lease.size)

    def give_back(
        self, name: str, client_id: str, lease_number: int, first_unused: int, *, timeout_s: float
    ) -> None:
        message = pb.ReturnRangeRequest(
            name=name, client_id=client_id, lease_number=lease_number, first_unused=first_unused
        )
        try:
            self._stub().ReturnRange(message, timeout=timeout_s)
        except grpc.RpcError as error:
            raise translated(error) from error

    def ensure(self, name: str, *, timeout_s: float) -> None:
        message = pb.CreateSequenceRequest(sequence=pb.Sequence(name=name))
        try:
            self._stub().CreateSequence(message, timeout=timeout_s)
        except grpc.RpcError as error:
            raise translated(error) from error

    def close(self) -> None:
        if self._channel is not None and self._channel.pid == os.getpid():
            self._channel.close()
        elif self._channel is not None:
            self._abandoned.append(self._channel)
        self._channel = None

    def _stub(self) -> pb_grpc.SequencerServiceStub:
        target = self._target()
        if self._channel is None or not self._channel.serves(target):
            self.close()
            self._channel = _Channel(target, self._credentials)
        return self._channel.stub


class _Channel:
    """An open channel. One that a parent process opened is kept, never closed, by its child."""

    def __init__(self, target: str, credentials: Callable[[], Metadata]) -> None:
        self.pid = os.getpid()
        self._target = target
        self._context: AbstractContextManager[grpc.Channel] = blocking_channel(target, credentials)
        self.stub = pb_grpc.SequencerServiceStub(self._context.__enter__())

    def serves(self, target: str) -> bool:
        """Whether this process opened it to `target`."""
        return self.pid == os.getpid() and self._target == target

    def close(self) -> None:
        """Close it; calls in flight fail."""
        self._context.__exit__(None, None, None)


def translated(error: grpc.RpcError) -> SequencerError:
    """The SDK's error for a failed call."""
    view = ErrorView.from_rpc(error)
    text = f"{view.code.name}: {view.message}"
    if view.reason in _REASONS:
        return _REASONS[view.reason](text)
    return SequencerError(text) if view.code in _REFUSALS else SequencerUnavailable(text)


class _Instance(Protocol):
    """An entry of a registry."""

    @property
    def address(self) -> str: ...


class _Registry(Protocol):
    """The part of `mesh.registry.Registry` that is needed."""

    def lookup(self, service: str) -> Sequence[_Instance]: ...


class _Key(Protocol):
    """The part of `mesh.tokens.ServiceKey` that is needed."""

    def token(self) -> str: ...


def mesh_source(registry: _Registry, key: _Key) -> GrpcRangeSource:
    """The source for a service of the mesh: `mesh_source(parts.registry, parts.key)`.

    The service needs the right "sequencer.lease", and "sequencer.create" when it
    creates missing sequences.
    """

    def target() -> str:
        for instance in registry.lookup("sequencer"):
            return instance.address
        raise SequencerUnavailable("No instance of the sequencer is registered")

    return GrpcRangeSource(target, lambda: ((CALLER, key.token()),))
