"""A tap over the real chain: what it sends, and what never leaves the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import lane_pb2 as pb
from mesh import Channel
from mesh.app import App
from mesh.lane.rpc import MAX_LISTENERS
from mesh.testing import Mesh
from tests.integration.lane_cli.conftest import CANARIES, refusal

if TYPE_CHECKING:
    from engine.mesh.v1.lane_pb2_grpc import LaneServiceAsyncStub

PERSONAL = [
    value
    for record in CANARIES
    for value in (record.cif, record.name, record.phone, record.id_card, str(record.aum_fen))
]


async def tapped(stream: Any, count: int) -> list[pb.LaneFrame]:
    """So many frames of a tap."""
    frames: list[pb.LaneFrame] = []
    while len(frames) < count:
        frames += (await stream.read()).frames
    return frames


async def test_no_canary_leaves_the_process(
    mesh: Mesh, lanes: LaneServiceAsyncStub, customers: Any
) -> None:
    """Customers in requests, replies and an error's text pass: the tap sends nothing of them."""
    stream: Any = lanes.Tap(pb.TapRequest())
    assert await stream.read() == pb.TapResponse()
    loader = ark_pb2_grpc.ArkServiceStub(mesh.channel("customer", caller="loader"))
    for record in CANARIES:
        await loader.ImportCustomers(ark_pb2.ImportCustomersRequest(records=[record] * 3))
    await refusal(customers.GetCustomer(customer_pb2.GetCustomerRequest(customer_id=404)))
    frames: list[pb.LaneFrame] = []
    while not any(frame.status for frame in frames):
        frames += (await stream.read()).frames
    sent = b"".join(frame.SerializeToString() for frame in frames)
    assert sum(frame.method.endswith("/ImportCustomers") for frame in frames) >= 2 * len(CANARIES)
    assert b"*** ID_CARD" in sent
    assert [value for value in PERSONAL if value.encode() in sent] == []
    assert b"Bearer" not in sent
    assert frames[-1].reason == "OUT_OF_SCOPE"


async def test_at_most_four_listen(mesh: Mesh, lanes: LaneServiceAsyncStub) -> None:
    """The next one is refused; once somebody has gone there is room again."""
    streams: list[Any] = [lanes.Tap(pb.TapRequest()) for _ in range(MAX_LISTENERS)]
    for stream in streams:
        await stream.read()
    assert (await refusal(lanes.Tap(pb.TapRequest()).read())).reason == "OVERLOADED"
    streams[0].cancel()
    while True:  # its end has to reach the server
        further: Any = lanes.Tap(pb.TapRequest())
        try:
            await further.read()
        except grpc.aio.AioRpcError:
            continue
        break
    for stream in (*streams[1:], further):
        stream.cancel()


async def test_a_process_that_stops_ends_its_taps(served: App, lanes: LaneServiceAsyncStub) -> None:
    """A listener does not hold it up."""
    stream: Any = lanes.Tap(pb.TapRequest())
    await stream.read()
    await served.drain()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("kinds", [("unix",), ("stream",)])
async def test_frames_of_every_carrier_are_shown(
    mesh: Mesh, lanes: LaneServiceAsyncStub, kinds: tuple[str, ...]
) -> None:
    """However a lane is carried, its frames are the same."""
    stream = lanes.Tap(pb.TapRequest(method="ImportCustomers", caller="loader"))
    await stream.read()
    proofs, prove = mesh.proofs(caller="loader"), mesh.prove("loader")
    endpoints = mesh.endpoints("customer")
    request = ark_pb2.ImportCustomersRequest(records=CANARIES[:1])
    async with Channel("customer", endpoints, proofs, prove=prove, carriers=kinds) as channel:
        await ark_pb2_grpc.ArkServiceStub(channel).ImportCustomers(request)
        call, _ = await tapped(stream, 2)
        found = (await lanes.ListLanes(pb.ListLanesRequest())).lanes
    assert call.kind == pb.LANE_FRAME_KIND_CALL
    (lane,) = [lane for lane in found if lane.lane == call.lane]
    assert (lane.caller, lane.carrier) == ("loader", kinds[0])
