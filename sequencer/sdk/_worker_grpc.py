"""Worker ids from the sequencer service, over blocking channels."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from engine.sequencer.v1 import sequencer_pb2, sequencer_pb2_grpc
from engine.sequencer.v1 import snowflake_pb2 as pb
from engine.sequencer.v1 import snowflake_pb2_grpc as pb_grpc
from sequencer.sdk._link import Link
from sequencer.sdk._worker import Tenancy, Worker, WorkerRequest
from sequencer.sdk.layout import Layout

if TYPE_CHECKING:
    import grpc


class GrpcWorkerSource:
    """A `WorkerSource` that is the sequencer service.

    Args:
        link: the connections to its servers.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def acquire(self, request: WorkerRequest, *, timeout_s: float) -> Worker:
        message = pb.AcquireWorkerRequest(
            name=request.name, client_id=request.client_id, window=_duration(request.window_s)
        )
        if request.last_tick >= 0:
            message.last_tick = request.last_tick
        answer = self._link.call(request.name, _acquire, message, timeout_s=timeout_s)
        return _worker(answer.worker)

    def ensure(self, name: str, *, timeout_s: float) -> None:
        message = sequencer_pb2.CreateSequenceRequest(
            sequence=sequencer_pb2.Sequence(
                name=name,
                kind=sequencer_pb2.SEQUENCE_KIND_SNOWFLAKE,
                layout=sequencer_pb2.SnowflakeLayout(),
            )
        )
        self._link.call(name, _create, message, timeout_s=timeout_s)

    def renew(self, tenancy: Tenancy, window_s: float, *, timeout_s: float) -> Worker:
        message = pb.RenewWorkerRequest(
            name=tenancy.name,
            client_id=tenancy.client_id,
            worker_id=tenancy.worker_id,
            token=tenancy.token,
            window=_duration(window_s),
            until_tick=tenancy.until_tick,
            now_tick=tenancy.now_tick,
        )
        return _worker(self._link.call(tenancy.name, _renew, message, timeout_s=timeout_s).worker)

    def release(self, tenancy: Tenancy, next_tick: int, *, timeout_s: float) -> None:
        message = pb.ReleaseWorkerRequest(
            name=tenancy.name,
            client_id=tenancy.client_id,
            worker_id=tenancy.worker_id,
            token=tenancy.token,
            next_tick=next_tick,
        )
        self._link.call(tenancy.name, _release, message, timeout_s=timeout_s)

    def close(self) -> None:
        self._link.close()


def _acquire(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[pb.AcquireWorkerRequest, pb.AcquireWorkerResponse]:
    return pb_grpc.WorkerServiceStub(channel).AcquireWorker


def _renew(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[pb.RenewWorkerRequest, pb.RenewWorkerResponse]:
    return pb_grpc.WorkerServiceStub(channel).RenewWorker


def _release(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[pb.ReleaseWorkerRequest, pb.ReleaseWorkerResponse]:
    return pb_grpc.WorkerServiceStub(channel).ReleaseWorker


def _create(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[
    sequencer_pb2.CreateSequenceRequest, sequencer_pb2.CreateSequenceResponse
]:
    return sequencer_pb2_grpc.SequencerServiceStub(channel).CreateSequence


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(int(seconds * 1000))
    return duration


def _worker(message: pb.Worker) -> Worker:
    layout = message.layout
    return Worker(
        worker_id=message.worker_id,
        token=message.token,
        from_tick=message.from_tick,
        until_tick=message.until_tick,
        now_tick=message.now_tick,
        layout=Layout(
            time_bits=layout.time_bits,
            worker_bits=layout.worker_bits,
            sequence_bits=layout.sequence_bits,
            tick_ms=layout.tick_ms,
            epoch=layout.epoch_time.ToDatetime(UTC),
        ),
    )
