"""What `engine call` tells on standard error: failures, and calls with '-v'."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
import typer
from google.protobuf import any_pb2, descriptor_pool, timestamp_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.json_format import MessageToDict

from cli.calling import metadata, verbose
from cli.calling.catalogue import Row
from cli.calling.exchange import LANE, PLAIN, Told
from cli.calling.failures import ended_by
from engine.ark.v1 import ark_pb2
from engine.customer.v1 import customer_pb2
from engine.identity.v1 import identity_pb2
from engine.ums.v1 import ums_pb2
from mesh import context as wire
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason, Violation

ARK = ark_pb2.DESCRIPTOR.services_by_name["ArkService"]
USERS = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]


class Failed(grpc.RpcError):
    """A failed call, as the blocking channel raises it."""

    def __init__(self, code: grpc.StatusCode, details: str = "", error: MeshError | None = None):
        self._code, self._details, self._error = code, details, error

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        if self._error is None:
            return None
        return ((STATUS_DETAILS_KEY, self._error.to_status().SerializeToString()),)


def row(name: str, service: ServiceDescriptor) -> Row:
    return Row("customer", service.methods_by_name[name], descriptor_pool.Default())


def _packed() -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(customer_pb2.GetCustomerRequest(customer_id=7))
    return packed


def told(error: grpc.RpcError, capsys: pytest.CaptureFixture[str], **more: Any) -> tuple[int, str]:
    with pytest.raises(typer.Exit) as ended:
        ended_by(error, **more)
    return ended.value.exit_code, capsys.readouterr().err


def test_an_error_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """Code, reason, message, violations, facts, when to try again, the next step."""
    error = MeshError(
        MeshReason.OVERLOADED,
        "Too many calls of this client",
        metadata={"limit": "10"},
        violations=[Violation("customer_id", "must be greater than 0")],
        retry_after_s=2,
    )
    code, said = told(Failed(error.code, error=error), capsys)
    assert code == 64 + 8
    assert said.splitlines() == [
        "engine: RESOURCE_EXHAUSTED OVERLOADED: Too many calls of this client",
        "  customer_id: must be greater than 0",
        "  limit = 10",
        "  try again after 2 s",
        f"  → {MeshReason.OVERLOADED.text.next_step}",
    ]


def test_nothing_is_told_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a reason that is the code nor a violation that is the message."""
    broken = Violation("id", "must be set")
    error = MeshError(MeshReason.INVALID_ARGUMENT, "id: must be set", violations=[broken])
    _, said = told(Failed(error.code, error=error), capsys)
    assert said.splitlines()[0] == "engine: INVALID_ARGUMENT: id: must be set"
    assert len(said.splitlines()) == 2


def test_an_error_of_others_is_told_without_steering_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has no details, and its text is anybody's."""
    code, said = told(Failed(grpc.StatusCode.NOT_FOUND, "no\x1b[2Jthing"), capsys)
    assert (code, said) == (69, "engine: NOT_FOUND: no�[2Jthing\n")


def test_who_cannot_know_whether_it_ran_learns_how_to_repeat(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the same idempotency key; after a refusal there is nothing to repeat."""
    _, lost = told(Failed(grpc.StatusCode.UNAVAILABLE), capsys, request_id="r-1")
    assert "repeat it with --request-id r-1" in lost
    _, refused = told(Failed(grpc.StatusCode.NOT_FOUND), capsys, request_id="r-1")
    assert "r-1" not in refused


def test_a_refusal_without_a_user_says_how_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The operator has few rights."""
    denied = Failed(grpc.StatusCode.PERMISSION_DENIED)
    assert "--as USER" in told(denied, capsys, user=False)[1]
    assert "--as USER" not in told(denied, capsys, user=True)[1]


def test_personal_data_and_secrets_are_masked_in_the_echo() -> None:
    """In lists too; what is not personal stays, since one wants to see what was sent."""
    records = ark_pb2.ImportCustomersRequest()
    records.records.add(cif="0001", name="王小明", phone="13800001111", aum_fen=5)
    sent = json.loads(verbose.echo(records, row("ImportCustomers", ARK)))
    assert set(sent["records"][0].values()) == {verbose.MASK}
    sign_on = identity_pb2.CreateSessionRequest(username="rm001", password="engine-demo")
    echoed = json.loads(verbose.echo(sign_on, row("CreateSession", USERS)))
    assert echoed == {"username": "rm001", "password": verbose.MASK}


@pytest.mark.parametrize(
    ("message", "echoed"),
    [
        (_packed(), verbose.MASK),
        (ums_pb2.Span(attributes={"error": "x"}), {"attributes": {"error": "x"}}),
        (timestamp_pb2.Timestamp(seconds=1), "1970-01-01T00:00:01Z"),
    ],
)
def test_the_echo_masks_what_it_cannot_look_into(message: Any, echoed: Any) -> None:
    """A message of any type is masked as a whole; maps and times are shown."""
    assert verbose.masked(MessageToDict(message), message.DESCRIPTOR) == echoed


@pytest.mark.parametrize(
    ("says", "way"), [("lane: ended with OK: ", LANE), ("UNKNOWN: …", PLAIN), ("", PLAIN)]
)
def test_the_way_that_a_call_went_is_known(says: str, way: str) -> None:
    """A lane says so; whatever else there is, is plain gRPC."""

    class Ended(Failed):
        def initial_metadata(self) -> Any:
            return None

        def debug_error_string(self) -> str:
            return says

    told = Told()
    told.read(Ended(grpc.StatusCode.OK))
    assert (told.code, told.way, told.initial) == ("OK", way, ())


def test_proofs_are_masked_in_metadata() -> None:
    """Tokens end up in logs and over shoulders; bytes are shown in base64."""
    pairs = (
        (wire.AUTHORIZATION, "Bearer secret"),
        (wire.CALLER, "secret"),
        (wire.PURPOSE, "service"),
        ("x-raw-bin", b"xy"),
        (STATUS_DETAILS_KEY, b"told as the error"),
    )
    assert [*verbose.metadata(pairs)] == [
        "authorization: ***",
        "x-engine-caller: ***",
        "x-engine-purpose: service",
        "x-raw-bin: eHk=",
    ]


def test_metadata_is_read_from_pairs() -> None:
    """Keys in small letters; bytes in base64 behind '-bin'; a purpose before them."""
    read = metadata.parse(["X-Trace=a=b", "raw-bin=eHk="])
    assert read == (("x-trace", "a=b"), ("raw-bin", b"xy"))
    assert metadata.with_purpose("service", ()) == ((wire.PURPOSE, "service"),)
    assert metadata.with_purpose("", read) == read


@pytest.mark.parametrize(
    "wrong", ["none", "=x", "a b=x", "grpc-x=1", "raw-bin=?", "k=\x1b", "k=王"]
)
def test_metadata_that_grpc_would_not_take_is_refused(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is sent, with what to write instead."""
    with pytest.raises(typer.Exit) as ended:
        metadata.parse([wrong])
    assert ended.value.exit_code == 2
    assert "→" in capsys.readouterr().err
