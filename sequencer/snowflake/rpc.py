"""The contract of workers: messages to use cases and back."""
# ruff: noqa: ARG002 - methods are named by the contract; the transport's context goes unused

from __future__ import annotations

from typing import Any

import grpc

from engine.sequencer.v1 import sequencer_pb2
from engine.sequencer.v1 import snowflake_pb2 as pb
from engine.sequencer.v1 import snowflake_pb2_grpc as pb_grpc
from mesh.context import current
from mesh.paging import PageRequest
from sequencer.sdk.layout import Layout
from sequencer.snowflake.rules import Window
from sequencer.snowflake.service import Asked, Held, Lease, Workers

RpcContext = grpc.aio.ServicerContext[Any, Any]


class WorkerRpc(pb_grpc.WorkerServiceServicer):
    """Serves `engine.sequencer.v1.WorkerService`."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def AcquireWorker(
        self, request: pb.AcquireWorkerRequest, context: RpcContext
    ) -> pb.AcquireWorkerResponse:
        lease = await self._workers.acquire(
            _asked(request),
            window_s=request.window.ToTimedelta().total_seconds(),
            last_tick=request.last_tick if request.HasField("last_tick") else -1,
        )
        return pb.AcquireWorkerResponse(worker=_worker(lease))

    async def RenewWorker(
        self, request: pb.RenewWorkerRequest, context: RpcContext
    ) -> pb.RenewWorkerResponse:
        held = Held(
            worker_id=request.worker_id,
            token=request.token,
            until_tick=request.until_tick,
            now_tick=request.now_tick,
        )
        window_s = request.window.ToTimedelta().total_seconds()
        lease = await self._workers.renew(_asked(request), held, window_s=window_s)
        return pb.RenewWorkerResponse(worker=_worker(lease))

    async def ReleaseWorker(
        self, request: pb.ReleaseWorkerRequest, context: RpcContext
    ) -> pb.ReleaseWorkerResponse:
        released = await self._workers.release(
            _asked(request),
            worker_id=request.worker_id,
            token=request.token,
            next_tick=request.next_tick,
        )
        return pb.ReleaseWorkerResponse(released=released)

    async def ListWorkers(
        self, request: pb.ListWorkersRequest, context: RpcContext
    ) -> pb.ListWorkersResponse:
        listing = f"workers of {request.name}"
        asked = PageRequest(listing=listing, size=request.page_size, token=request.page_token)
        (after,) = asked.after_numbers(1) or (-1,)
        layout, days_left = await self._workers.layout(request.name)
        found = await self._workers.windows(request.name, after=after, limit=asked.limit)
        page = asked.page(found, lambda window: (window.worker_id,))
        return pb.ListWorkersResponse(
            windows=[_window(window, layout) for window in page.entries],
            next_page_token=page.next_token,
            days_left=days_left,
        )

    async def InspectSnowflake(
        self, request: pb.InspectSnowflakeRequest, context: RpcContext
    ) -> pb.InspectSnowflakeResponse:
        origin = await self._workers.holder_of(request.name, request.id)
        message = pb.InspectSnowflakeResponse(
            worker_id=origin.parts.worker_id, sequence=origin.parts.sequence
        )
        message.id_time.FromDatetime(origin.parts.time)
        if origin.window is not None:
            message.window.CopyFrom(_window(origin.window, origin.layout))
        return message


def _asked(
    request: pb.AcquireWorkerRequest | pb.RenewWorkerRequest | pb.ReleaseWorkerRequest,
) -> Asked:
    context = current()
    return Asked(
        name=request.name,
        holder=f"{context.actor}/{request.client_id}",
        is_believed=bool(context.service and not context.principal and not context.on_behalf_of),
    )


def _worker(lease: Lease) -> pb.Worker:
    return pb.Worker(
        worker_id=lease.window.worker_id,
        token=lease.window.token,
        from_tick=lease.window.from_tick,
        until_tick=lease.window.until_tick,
        now_tick=lease.moment.tick,
        layout=layout_message(lease.moment.layout),
    )


def layout_message(layout: Layout) -> sequencer_pb2.SnowflakeLayout:
    """The layout as the contract says it."""
    message = sequencer_pb2.SnowflakeLayout(
        time_bits=layout.time_bits,
        worker_bits=layout.worker_bits,
        sequence_bits=layout.sequence_bits,
        tick_ms=layout.tick_ms,
    )
    message.epoch_time.FromDatetime(layout.epoch)
    return message


def _window(window: Window, layout: Layout) -> pb.WorkerWindow:
    message = pb.WorkerWindow(worker_id=window.worker_id, token=window.token, holder=window.holder)
    message.from_time.FromDatetime(layout.time_of(window.from_tick))
    message.until_time.FromDatetime(layout.time_of(window.until_tick))
    return message
