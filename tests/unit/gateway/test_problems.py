"""Errors as problem+json."""

from __future__ import annotations

from typing import Any

import grpc
import orjson
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from gateway.errors import EdgeText, GatewayReason
from gateway.http import Response
from gateway.problems import HTTP_STATUS, of_call, of_error
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason, Violation


def body(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(response.body)
    return found


def failed(status: status_pb2.Status, *, details: bool = True) -> AioRpcError:
    """A failed call as it arrives."""
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    trailing = Metadata((STATUS_DETAILS_KEY, status.SerializeToString())) if details else Metadata()
    return AioRpcError(code, Metadata(), trailing, details=status.message)


def test_every_member_of_the_standard_is_there() -> None:
    """Type, title, status and detail, and ours beside them."""
    error = MeshError(
        MeshReason.INVALID_ARGUMENT,
        "two rules are broken",
        metadata={"rule": "7"},
        violations=[Violation("a.b", "must be positive")],
    )
    response = of_error(error).response(trace_id="ab" * 16)
    assert response.status == 400
    assert response.content_type == b"application/problem+json"
    assert body(response) == {
        "type": "/docs/errors#INVALID_ARGUMENT",
        "title": "The request breaks a rule of the contract",
        "status": 400,
        "detail": "two rules are broken",
        "reason": "INVALID_ARGUMENT",
        "trace_id": "ab" * 16,
        "violations": [{"field": "a.b", "description": "must be positive"}],
        "metadata": {"rule": "7"},
        "next_step": MeshReason.INVALID_ARGUMENT.text.next_step,
    }


def test_title_is_in_the_language_of_the_client() -> None:
    """And the response says which it is."""
    problem = of_error(MeshError(GatewayReason.ROUTE_NOT_FOUND))
    english = problem.response(accept_language="en")
    chinese = problem.response(accept_language="zh-CN,en;q=0.5")
    assert body(english)["title"] == "Nothing is served at this path"
    assert body(chinese)["title"] == "请求的路径不存在"
    assert (b"content-language", b"en") in english.headers
    assert (b"content-language", b"zh-CN") in chinese.headers


def test_every_reason_of_the_edge_has_its_own_status() -> None:
    """The finer HTTP status, not the one that the gRPC code would give."""
    for reason in GatewayReason:
        assert isinstance(reason.text, EdgeText)
        metadata = {"allow": "GET"}
        response = of_error(MeshError(reason, metadata=metadata)).response()
        assert response.status == reason.text.http_status
        assert 400 <= response.status < 600


def test_every_code_has_a_status() -> None:
    """None is left out of the table."""
    assert set(HTTP_STATUS) == set(grpc.StatusCode)


@pytest.mark.parametrize(
    ("reason", "header"),
    [
        (MeshReason.UNAUTHENTICATED, b"Bearer"),
        (MeshReason.TOKEN_EXPIRED, b'Bearer error="invalid_token"'),
    ],
)
def test_401_names_the_scheme(reason: MeshReason, header: bytes) -> None:
    """As RFC 6750 asks; an error only when a token was sent."""
    response = of_error(MeshError(reason)).response()
    assert response.status == 401
    assert (b"www-authenticate", header) in response.headers


@pytest.mark.parametrize(("seconds", "header"), [(0.001, b"1"), (1.0, b"1"), (1.2, b"2")])
def test_retry_after_is_in_whole_seconds_and_never_too_early(seconds: float, header: bytes) -> None:
    """Rounded up, and at least one."""
    response = of_error(MeshError(GatewayReason.RATE_LIMITED, retry_after_s=seconds)).response()
    assert response.status == 429
    assert (b"retry-after", header) in response.headers


def test_allow_comes_with_405() -> None:
    """As the standard asks."""
    error = MeshError(GatewayReason.METHOD_NOT_ALLOWED, metadata={"allow": "GET, HEAD"})
    assert (b"allow", b"GET, HEAD") in of_error(error).response().headers


def test_error_of_a_service_is_passed_on_whole() -> None:
    """Reason, titles, violations, metadata and time to wait."""
    error = MeshError(
        MeshReason.OVERLOADED,
        "too much at once",
        metadata={"queue": "7"},
        violations=[Violation("x", "y")],
        retry_after_s=2.5,
    )
    assert of_call(failed(error.to_status())) == of_error(error)


def test_unknown_detail_does_not_wipe_the_error() -> None:
    """It is dropped and the rest is kept."""
    status = MeshError(MeshReason.PERMISSION_DENIED, "no").to_status()
    status.details.insert(0, any_pb2.Any(type_url="x/never.heard.Of", value=b"\xff"))
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff")
    status.details.append(broken)
    problem = of_call(failed(status))
    assert (problem.status, problem.reason, problem.detail) == (403, "PERMISSION_DENIED", "no")


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, 503, "UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "OVERLOADED"),
        (grpc.StatusCode.UNIMPLEMENTED, 501, "UNKNOWN_METHOD"),
        (grpc.StatusCode.UNKNOWN, 500, "INTERNAL"),
        (grpc.StatusCode.INTERNAL, 500, "INTERNAL"),
    ],
)
def test_text_without_a_reason_is_not_quoted(
    code: grpc.StatusCode, status: int, reason: str
) -> None:
    """It may be a stack trace or an address of ours."""
    text = "Traceback: connect to 10.0.0.7:50051 failed"
    error = failed(status_pb2.Status(code=code.value[0], message=text), details=False)
    response = of_call(error).response()
    assert (response.status, body(response)["reason"]) == (status, reason)
    assert b"10.0.0.7" not in response.body
    assert b"Traceback" not in response.body


def test_foreign_reason_without_titles_uses_its_message() -> None:
    """A service in another language may send ErrorInfo alone."""
    status = status_pb2.Status(code=9, message="the book is closed")
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason="BOOK_CLOSED", domain="engine"))
    status.details.append(packed)
    response = of_call(failed(status)).response(accept_language="zh")
    assert response.status == 400
    assert body(response)["title"] == "the book is closed"
