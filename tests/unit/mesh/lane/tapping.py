"""A tap on a lane of which there is nothing but its batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from engine.ark.v1 import ark_pb2
from engine.mesh.v1 import lane_pb2 as pb
from mesh.lane.frames import CallFrame, Pairs
from mesh.lane.listener import Listener
from mesh.lane.server import Block, ServerLane
from mesh.lane.serving import Method
from mesh.lane.tap import Tap

IMPORT = "/engine.ark.v1.ArkService/ImportCustomers"
GET = "/engine.customer.v1.CustomerService/GetCustomer"
HEALTH = "/grpc.health.v1.Health/Check"

NAME, PHONE, CARD, CIF = "金丝雀一号", "19940000001", "99010119880808001X", "7700000000000001"
RECORD = ark_pb2.CustomerRecord(cif=CIF, name=NAME, phone=PHONE, id_card=CARD, aum_fen=888_888_801)
PERSONAL = (NAME, PHONE, CARD, CIF, "888888801")


async def _serve(_request: Any, _context: Any) -> bytes:
    return b""


METHODS: dict[int, Method | int | None] = {
    number: Method(_serve, None, None, path)
    for number, path in enumerate((IMPORT, GET, HEALTH), start=1)
} | {9: None}


class FakeLane:
    """What a tap looks at of a lane."""

    def __init__(self, number: int = 1, caller: str = "loader") -> None:
        self.number = number
        self.caller = caller


class Seen:
    """A tap with one listener, and a lane that is tapped."""

    def __init__(self, caller: str = "loader", **wanted: Any) -> None:
        self.tap = Tap()
        self.listener = Listener(**wanted)
        self.tap.listeners.append(self.listener)
        self.lane = cast("ServerLane", FakeLane(caller=caller))

    def heard(
        self,
        *calls: CallFrame,
        named: Sequence[tuple[int, str]] = (),
        blocks: Sequence[tuple[int, Pairs]] = (),
        control: Sequence[tuple[int, int, str]] = (),
    ) -> None:
        known = {0: Block([], {}, 0)} | {
            number: Block([(k, v.decode()) for k, v in pairs], {}, 0) for number, pairs in blocks
        }
        batch = ([*named], [*blocks], [*calls], [*control])
        self.tap.heard(self.lane, batch, METHODS, known)

    def told(
        self, *, pieces: Any = (), replies: Any = (), endings: Any = (), control: Any = ()
    ) -> None:
        self.tap.told(self.lane, ([*pieces], [*replies], [*endings], [*control]))

    async def frames(self) -> list[pb.LaneFrame]:
        """All that waits for the listener."""
        self.listener.close()
        found: list[pb.LaneFrame] = []
        while (answer := await self.listener.next()) is not None:
            found += answer.frames
        return found


def call(number: int, request: bytes = b"", method: int = 2, **more: Any) -> CallFrame:
    """A call as a client's batch has it."""
    return (
        number,
        method,
        more.get("timeout_us", 0),
        more.get("block", 0),
        more.get("trace", b""),
        more.get("own", []),
        request,
    )


def import_request() -> bytes:
    return ark_pb2.ImportCustomersRequest(records=[RECORD]).SerializeToString()


def shape(frames: Sequence[pb.LaneFrame]) -> list[tuple[str, int]]:
    return [
        (pb.LaneFrameKind.Name(f.kind).removeprefix("LANE_FRAME_KIND_"), f.size) for f in frames
    ]
