"""Every error as RFC 9457 problem+json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
import orjson
from grpc import StatusCode

from gateway.errors import EdgeText, GatewayReason
from gateway.http import Header, Response
from gateway.negotiation import prefers_chinese
from mesh.errors import ErrorView, MeshError, MeshReason, Reason, Violation

CONTENT_TYPE: Final = b"application/problem+json"
TYPE_PREFIX: Final = "/docs/errors#"

HTTP_STATUS: Final[Mapping[StatusCode, int]] = {
    StatusCode.OK: 200,
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNAUTHENTICATED: 401,
}
"""As googleapis' `google/rpc/code.proto` maps them."""

_UNEXPLAINED: Final[Mapping[StatusCode, MeshReason]] = {
    StatusCode.INVALID_ARGUMENT: MeshReason.INVALID_ARGUMENT,
    StatusCode.DEADLINE_EXCEEDED: MeshReason.DEADLINE_EXCEEDED,
    StatusCode.PERMISSION_DENIED: MeshReason.PERMISSION_DENIED,
    StatusCode.RESOURCE_EXHAUSTED: MeshReason.OVERLOADED,
    StatusCode.UNIMPLEMENTED: MeshReason.UNKNOWN_METHOD,
    StatusCode.UNAVAILABLE: MeshReason.UNAVAILABLE,
    StatusCode.UNAUTHENTICATED: MeshReason.UNAUTHENTICATED,
}
"""Reasons for codes that came without one. Their text may tell of our insides: it is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error, ready to be shown."""

    status: int
    reason: str
    english: str
    chinese: str
    detail: str
    next_step: str
    metadata: Mapping[str, str]
    violations: tuple[Violation, ...] = ()
    retry_after_s: float | None = None

    def response(self, *, accept_language: str = "", trace_id: str = "") -> Response:
        """The error as an HTTP response, titled in the client's language."""
        chinese = prefers_chinese(accept_language)
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.reason,
            "title": self.chinese if chinese else self.english,
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
        }
        if trace_id:
            body["trace_id"] = trace_id
        if self.violations:
            body["violations"] = [
                {"field": v.field, "description": v.description} for v in self.violations
            ]
        if self.metadata:
            body["metadata"] = dict(self.metadata)
        if self.next_step:
            body["next_step"] = self.next_step
        language: Header = (b"content-language", b"zh-CN" if chinese else b"en")
        return Response(
            status=self.status,
            body=orjson.dumps(body),
            content_type=CONTENT_TYPE,
            headers=[language, *self._headers()],
        )

    def _headers(self) -> list[Header]:
        headers = []
        if self.status == 401:
            sent = self.reason != MeshReason.UNAUTHENTICATED.name
            headers.append((b"www-authenticate", b"Bearer" + b' error="invalid_token"' * sent))
        if self.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(self.retry_after_s))))
        if self.reason == GatewayReason.METHOD_NOT_ALLOWED.name:
            headers.append((b"allow", self.metadata["allow"].encode("ascii")))
        return headers


def of_error(error: MeshError) -> Problem:
    """The problem that an error of this process is."""
    text = error.reason.text
    return Problem(
        status=text.http_status if isinstance(text, EdgeText) else HTTP_STATUS[text.code],
        reason=error.reason.name,
        english=text.english,
        chinese=text.chinese,
        detail=error.detail,
        next_step=text.next_step,
        metadata=error.metadata,
        violations=error.violations,
        retry_after_s=error.retry_after_s,
    )


def of_call(error: grpc.RpcError) -> Problem:
    """The problem that a failed call to a service is. Only what carries a reason is quoted."""
    view = ErrorView.from_rpc(error)
    if not view.reason:
        reason: Reason = _UNEXPLAINED.get(view.code, MeshReason.INTERNAL)
        return of_error(MeshError(reason, retry_after_s=view.retry_after_s))
    english = view.titles.get("en", view.message)
    return Problem(
        status=HTTP_STATUS[view.code],
        reason=view.reason,
        english=english,
        chinese=view.titles.get("zh-CN", english),
        detail=view.message,
        next_step=view.next_step,
        metadata=view.metadata,
        violations=view.violations,
        retry_after_s=view.retry_after_s,
    )
