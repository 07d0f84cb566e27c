"""The one error, from Python to the wire and back."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import status_pb2

from mesh.errors import (
    STATUS_DETAILS_KEY,
    ErrorView,
    MeshError,
    MeshReason,
    Reason,
    Violation,
    status_code,
)


def test_a_client_reads_back_everything_that_an_error_says() -> None:
    """Reason, titles, next step, violations and retry delay survive the wire."""
    error = MeshError(
        MeshReason.OVERLOADED,
        "busy",
        metadata={"limit": "10"},
        violations=[Violation("a.b", "must be short")],
        retry_after_s=1.5,
    )
    view = ErrorView.from_status(
        status_pb2.Status.FromString(error.to_status().SerializeToString())
    )
    assert view == ErrorView(
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        message="busy",
        reason="OVERLOADED",
        metadata={"limit": "10"},
        titles={"en": MeshReason.OVERLOADED.text.english, "zh-CN": "服务繁忙"},
        next_step=MeshReason.OVERLOADED.text.next_step,
        violations=(Violation("a.b", "must be short"),),
        retry_after_s=1.5,
    )


def test_an_error_without_detail_says_what_its_reason_means() -> None:
    """The reason's title is the message by default."""
    error = MeshError(MeshReason.TOKEN_EXPIRED)
    assert error.to_status().message == "The access token has expired"
    assert str(error) == "TOKEN_EXPIRED: The access token has expired"


def test_a_detail_of_unknown_type_is_dropped_and_the_error_kept() -> None:
    """A peer's own detail types do not wipe the error."""
    status = MeshError(MeshReason.UNAUTHENTICATED).to_status()
    status.details.append(any_pb2.Any(type_url="type.googleapis.com/acme.Unknown", value=b"\xff"))
    assert ErrorView.from_status(status).reason == "UNAUTHENTICATED"


def test_a_detail_with_broken_bytes_is_dropped_and_the_error_kept() -> None:
    """A known type whose bytes do not parse does not wipe the error."""
    status = MeshError(MeshReason.UNAUTHENTICATED).to_status()
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff\xff")
    status.details.append(broken)
    assert ErrorView.from_status(status).reason == "UNAUTHENTICATED"


def test_a_failure_of_a_foreign_server_keeps_code_and_text() -> None:
    """A server that sends no details is still understood."""
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.ABORTED, grpc.aio.Metadata(), grpc.aio.Metadata(), details="no"
    )
    view = ErrorView.from_rpc(error)
    assert (view.code, view.message, view.reason) == (grpc.StatusCode.ABORTED, "no", "")


def test_broken_status_details_fall_back_to_code_and_text() -> None:
    """Bytes that are no Status are not an error of their own."""
    trailing = grpc.aio.Metadata((STATUS_DETAILS_KEY, b"\xff\xff\xff"))
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.ABORTED, grpc.aio.Metadata(), trailing, details="no"
    )
    assert ErrorView.from_rpc(error).message == "no"


@pytest.mark.parametrize("reason", list(MeshReason), ids=lambda reason: reason.name)
def test_every_reason_says_what_to_do_in_both_languages(reason: Reason) -> None:
    """No reason lacks a title or a next step."""
    text = reason.text
    assert text.english
    assert text.next_step.endswith(".")
    assert any("\u4e00" <= character <= "\u9fff" for character in text.chinese)


def test_an_unknown_status_number_reads_as_unknown() -> None:
    """Numbers that gRPC does not define do not raise."""
    assert status_code(99) is grpc.StatusCode.UNKNOWN
