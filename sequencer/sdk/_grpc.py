"""Ranges from the sequencer service, over blocking channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2_grpc as pb_grpc
from mesh.blocking import Target
from mesh.context import CALLER, Metadata
from mesh.host import host_id
from mesh.lane.dial import Endpoint, Tls
from sequencer.sdk._link import Link
from sequencer.sdk._source import Lease, LeaseRequest, Tail

if TYPE_CHECKING:
    import grpc


class GrpcRangeSource:
    """A `RangeSource` that is the sequencer service; see `Link`.

    Args:
        target: "host:port" or "unix:/path" or an endpoint, or a function that answers
            one, or all that serve; it may raise SequencerUnavailable.
        credentials: the metadata that proves who calls; asked at each call.
        tls: what servers on other hosts are shown (`mesh.tls`).
    """

    def __init__(
        self,
        target: Target | Callable[[], Target | Sequence[Target]],
        credentials: Callable[[], Metadata] = tuple,
        tls: Tls | None = None,
    ) -> None:
        def targets() -> Sequence[Target]:
            found = target() if callable(target) else target
            return [found] if isinstance(found, str | Endpoint) else found

        self.link = Link(targets, credentials, tls)

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        message = pb.LeaseRangeRequest(
            name=request.name, client_id=request.client_id, size=request.size
        )
        if (last := request.last) is not None:
            message.last.CopyFrom(
                pb.Witness(
                    number=last.number, mark=last.mark, epoch=last.epoch, position=last.position
                )
            )
        if request.strict:
            message.kind = pb.SEQUENCE_KIND_STRICT
        return _lease(
            self.link.call(request.name, _lease_range, message, timeout_s=timeout_s).lease
        )

    def give_back(self, tail: Tail, *, timeout_s: float) -> None:
        message = pb.ReturnRangeRequest(
            name=tail.name,
            client_id=tail.client_id,
            lease_number=tail.lease_number,
            mark=tail.mark,
            used=tail.used,
            lost=tail.lost,
        )
        self.link.call(tail.name, _return_range, message, timeout_s=timeout_s)

    def ensure(self, name: str, *, strict: bool = False, timeout_s: float) -> None:
        kind = pb.SEQUENCE_KIND_STRICT if strict else pb.SEQUENCE_KIND_SEGMENT
        message = pb.CreateSequenceRequest(sequence=pb.Sequence(name=name, kind=kind))
        self.link.call(name, _create_sequence, message, timeout_s=timeout_s)

    def close(self) -> None:
        self.link.close()


def _lease_range(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[pb.LeaseRangeRequest, pb.LeaseRangeResponse]:
    return pb_grpc.SequencerServiceStub(channel).LeaseRange


def _return_range(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[pb.ReturnRangeRequest, pb.ReturnRangeResponse]:
    return pb_grpc.SequencerServiceStub(channel).ReturnRange


def _create_sequence(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[pb.CreateSequenceRequest, pb.CreateSequenceResponse]:
    return pb_grpc.SequencerServiceStub(channel).CreateSequence


def _lease(lease: pb.Lease) -> Lease:
    return Lease(
        number=lease.lease_number,
        mark=lease.witness.mark,
        epoch=lease.witness.epoch,
        position=lease.witness.position,
        first=lease.first,
        size=lease.size,
        increment=lease.increment or 1,
    )


class _Instance(Protocol):
    """An entry of a registry."""

    @property
    def address(self) -> str: ...

    def endpoint(self, host_id: str) -> Endpoint: ...


class _Registry(Protocol):
    """The part of `mesh.registry.Registry` that is needed."""

    def lookup(self, service: str) -> Sequence[_Instance]: ...


class _Key(Protocol):
    """The part of `mesh.tokens.ServiceKey` that is needed."""

    def token(self) -> str: ...


def mesh_source(registry: _Registry, key: _Key, tls: Tls | None = None) -> GrpcRangeSource:
    """The source for a service of the mesh: `mesh_source(parts.registry, parts.key, parts.tls)`.

    The service needs the right "sequencer.lease", and "sequencer.create" when it
    creates missing sequences.
    """
    here = host_id()

    def targets() -> Sequence[Endpoint]:
        return [_endpoint(instance, here) for instance in registry.lookup("sequencer")]

    return GrpcRangeSource(targets, lambda: ((CALLER, key.token()),), tls)


def _endpoint(instance: _Instance, host: str) -> Endpoint:
    """With the address that it has for clients on any host, as all must rank it alike."""
    return Endpoint(instance.address, instance.endpoint(host).lanes)
