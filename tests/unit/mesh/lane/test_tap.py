"""What a tap shows of a lane's batches, and to whom."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from engine.ark.v1 import ark_pb2
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import lane_pb2 as pb
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason
from mesh.lane import tap
from mesh.lane.frames import Kind
from mesh.lane.listener import Listener
from mesh.lane.redaction import Redactor
from mesh.telemetry import TraceContext
from tests.unit.mesh.lane.tapping import (
    CIF,
    GET,
    HEALTH,
    NAME,
    PERSONAL,
    PHONE,
    Seen,
    call,
    import_request,
    shape,
)


async def test_a_call_and_its_reply_are_shown_with_method_and_payload() -> None:
    """Lane, caller, direction, number, path, time-out, trace, size, JSON; elapsed of the reply."""
    seen = Seen()
    trace = TraceContext.root(sampled=True)
    request = customer_pb2.GetCustomerRequest(customer_id=7).SerializeToString()
    reply = customer_pb2.GetCustomerResponse(
        customer=customer_pb2.Customer(customer_id=7)
    ).SerializeToString()
    seen.heard(call(5, request, timeout_us=250_000, trace=trace.raw))
    seen.told(replies=[(5, reply)])
    asked, answered = await seen.frames()
    assert shape([asked, answered]) == [("CALL", len(request)), ("REPLY", len(reply))]
    assert (asked.lane, asked.caller, asked.number, asked.method) == (1, "loader", 5, GET)
    assert (asked.outgoing, answered.outgoing) == (False, True)
    assert asked.timeout.ToMicroseconds() == 250_000
    assert asked.trace_id == trace.trace_hex
    assert json.loads(asked.payload) == {"customerId": "7"}
    assert json.loads(answered.payload) == {"customer": {"customerId": "7"}}
    assert answered.method == GET
    assert answered.HasField("elapsed")
    assert not asked.HasField("elapsed")


async def test_an_error_is_shown_with_status_and_reason() -> None:
    """The details that came with it are not: they may quote values."""
    seen = Seen()
    error = MeshError(MeshReason.OUT_OF_SCOPE, "No such row", metadata={"who": NAME})
    packed = error.to_status().SerializeToString()
    seen.heard(call(1))
    code = grpc.StatusCode.NOT_FOUND.value[0]
    seen.told(endings=[(1, code, "No such row", [], [(STATUS_DETAILS_KEY, packed)], b"")])
    _, ended = await seen.frames()
    assert (ended.status, ended.reason, ended.text) == ("NOT_FOUND", "OUT_OF_SCOPE", "No such row")
    assert [(pair.key, pair.value) for pair in ended.metadata] == [(STATUS_DETAILS_KEY, "***")]
    assert NAME.encode() not in ended.SerializeToString()


async def test_control_frames_names_and_blocks_are_shown() -> None:
    """In their order, each with its number; kinds of later versions are passed over."""
    seen = Seen()
    seen.heard(named=[(2, GET)], blocks=[(3, [("authorization", b"Bearer x")])])
    seen.heard(control=[(Kind.DROP, 3, ""), (Kind.PING, 8, ""), (200, 1, "")])
    seen.told(control=[(Kind.PONG, 8, ""), (Kind.CREDIT, 0, ""), (Kind.GO_AWAY, 5, "bye")])
    frames = await seen.frames()
    kinds = [kind for kind, _ in shape(frames)]
    assert kinds == ["NAME", "BLOCK", "DROP", "PING", "PONG", "CREDIT", "GO_AWAY"]
    assert [frame.number for frame in frames] == [2, 3, 3, 8, 8, 0, 5]
    assert frames[0].method == GET
    assert frames[1].metadata[0].value == "***"
    assert frames[-1].text == "bye"


async def test_a_cancel_is_shown_to_those_who_saw_its_call() -> None:
    """With the method, so that a filter by method holds for it."""
    seen = Seen(method="GetCustomer")
    seen.heard(call(1), call(2, method=1))
    seen.heard(control=[(Kind.CANCEL, 1, ""), (Kind.CANCEL, 2, "")])
    assert [(f.kind, f.number) for f in await seen.frames()] == [
        (pb.LANE_FRAME_KIND_CALL, 1),
        (pb.LANE_FRAME_KIND_CANCEL, 1),
    ]


async def test_of_a_reply_in_pieces_there_are_sizes_alone() -> None:
    """The last piece could be read as a message of its own, and would be shown wrongly."""
    seen = Seen()
    reply = ark_pb2.ImportCustomersResponse(
        tokens=[ark_pb2.CustomerToken(cif=CIF)]
    ).SerializeToString()
    seen.heard(call(1, import_request(), method=1))
    seen.told(pieces=[(1, reply)])
    seen.told(replies=[(1, reply)])
    _, piece, last = await seen.frames()
    assert shape([piece, last]) == [("PIECE", len(reply)), ("REPLY", len(reply))]
    assert (piece.payload, last.payload) == ("", "")


async def test_what_no_contract_of_ours_has_is_told_by_its_size() -> None:
    """A method that is not served, one whose contract states no policy, and bytes that are none."""
    seen = Seen()
    seen.heard(call(1, b"\x0a\x01x", method=9), call(2, b"\x0a\x01x", method=3), call(3, b"\xff"))
    frames = await seen.frames()
    assert [(f.method, f.size, f.payload) for f in frames] == [
        ("", 3, ""),
        (HEALTH, 3, ""),
        (GET, 1, ""),
    ]


async def test_replies_of_calls_before_the_tap_are_not_shown() -> None:
    """Nothing is known of what they answer."""
    seen = Seen()
    seen.told(pieces=[(1, b"x")], replies=[(2, b"x")], endings=[(3, 0, "", [], [], b"x")])
    assert await seen.frames() == []


async def test_personal_data_stays_in_the_process() -> None:
    """Not in clear, not in base64: of fields that state a sensitivity the kind alone is sent."""
    seen = Seen()
    token = ark_pb2.CustomerToken(cif=CIF, customer_id=4)
    reply = ark_pb2.ImportCustomersResponse(tokens=[token])
    seen.heard(call(1, import_request(), method=1, own=[("x-note", PHONE.encode())]))
    seen.told(replies=[(1, reply.SerializeToString())])
    asked, answered = await seen.frames()
    (record,) = json.loads(asked.payload)["records"]
    assert record == {
        "cif": "*** ACCOUNT",
        "name": "*** NAME",
        "phone": "*** PHONE",
        "idCard": "*** ID_CARD",
        "aumFen": "*** AMOUNT",
    }
    assert json.loads(answered.payload) == {"tokens": [{"cif": "*** ACCOUNT", "customerId": "4"}]}
    sent = asked.SerializeToString() + answered.SerializeToString()
    assert not [value for value in PERSONAL if value.encode() in sent]


async def test_a_filter_by_method_and_by_caller_holds_for_replies_too() -> None:
    """And frames that are of no call are not shown with a filter by method."""
    seen = Seen(method="customer.v1")
    seen.heard(call(1), call(2, method=1), named=[(2, GET)])
    seen.told(replies=[(1, b""), (2, b"")], control=[(Kind.CREDIT, 1, "")])
    frames = await seen.frames()
    assert [(kind, size) for kind, size in shape(frames)] == [("CALL", 0), ("REPLY", 0)]
    assert {frame.number for frame in frames} == {1}
    other = Seen(caller="gateway")
    other.tap.listeners[0] = other.listener = Listener(caller="loader")
    other.heard(call(1), named=[(2, GET)])
    other.told(replies=[(1, b"")])
    assert await other.frames() == []


def test_calls_that_are_never_answered_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane of which many are remembered forgets the oldest."""
    monkeypatch.setattr(tap, "MAX_CALLS", 2)
    seen = Seen()
    seen.heard(call(1), call(2), call(3))
    calls = seen.tap._open_calls(seen.lane)
    assert [*calls] == [2, 3]


def test_a_defect_of_the_tap_does_not_reach_the_lane(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged by its type, without the text, which may hold payload."""

    def broken(*_: Any) -> str:
        raise RuntimeError(PHONE)

    seen = Seen()
    monkeypatch.setattr(Redactor, "request", broken)
    seen.heard(call(1, b"x"))
    assert "lane_tap_failed" in caplog.text
    assert PHONE not in caplog.text
