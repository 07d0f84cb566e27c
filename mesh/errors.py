"""One error everywhere: `MeshError` in Python, `google.rpc.Status` on the wire.

A reason is a member of a `Reason` enum; every package has its own enum. It
fixes the gRPC code, the message in English and Chinese, and what the caller
can do next. The gateway turns the same status into RFC 9457 problem+json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

DOMAIN = "engine"
STATUS_DETAILS_KEY = "grpc-status-details-bin"

_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class ReasonText:
    """What a reason means: its gRPC code, two titles and the next step."""

    code: grpc.StatusCode
    english: str
    chinese: str
    next_step: str


class Reason(Enum):
    """Base of the reason enums; a member's value is its `ReasonText`."""

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code of every error with this reason."""
        text: ReasonText = self.value
        return text.code

    @property
    def text(self) -> ReasonText:
        """Code, titles and next step."""
        text: ReasonText = self.value
        return text


class MeshReason(Reason):
    """Reasons of the runtime itself."""

    INVALID_ARGUMENT = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The request breaks a rule of the contract",
        "请求不符合接口约定",
        "Correct the fields listed under violations and send it again.",
    )
    MALFORMED_REQUEST = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The request cannot be read",
        "请求无法解析",
        "Send a message of the type that the contract names.",
    )
    PAGE_TOKEN_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The page token does not belong to this list",
        "分页令牌与当前列表不符",
        "Send next_page_token unchanged, with the filter and order of the page before; "
        "or leave it out to start again.",
    )
    UNAUTHENTICATED = ReasonText(
        grpc.StatusCode.UNAUTHENTICATED,
        "The call carries no access token",
        "请求未携带访问令牌",
        "Sign on and send the token as 'Authorization: Bearer …'.",
    )
    TOKEN_INVALID = ReasonText(
        grpc.StatusCode.UNAUTHENTICATED,
        "The access token is not valid",
        "访问令牌无效",
        "Sign on again; do not change or shorten the token.",
    )
    TOKEN_EXPIRED = ReasonText(
        grpc.StatusCode.UNAUTHENTICATED,
        "The access token has expired",
        "访问令牌已过期",
        "Get a new token with the refresh token, or sign on again.",
    )
    SESSION_ENDED = ReasonText(
        grpc.StatusCode.UNAUTHENTICATED,
        "The session has ended",
        "会话已结束",
        "Sign on again.",
    )
    RIGHTS_CHANGED = ReasonText(
        grpc.StatusCode.UNAUTHENTICATED,
        "The rights have changed since the token was given out",
        "令牌签发后权限已变更",
        "Get a new token with the refresh token, or sign on again.",
    )
    CALLER_REFUSED = ReasonText(
        grpc.StatusCode.UNAUTHENTICATED,
        "The calling service cannot prove itself",
        "调用方服务身份验证失败",
        "Restart the calling service; its key must match the trust file of the one it calls.",
    )
    KEYS_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "The keys that tokens are signed with are not known yet",
        "尚未取得令牌签名公钥",
        "Try again in a second; if it stays, look at the identity service.",
    )
    RIGHTS_UNCERTAIN = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "Whether the right has ended cannot be told at the moment; only reads are served",
        "暂时无法确认权限是否已被收回，仅提供查询",
        "Try again in a second; if it stays, look at the identity service and the way to it.",
    )
    PERMISSION_DENIED = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The caller lacks the permission for this method",
        "没有执行该操作的权限",
        "Ask an administrator for a role that carries the permission.",
    )
    CHECKER_IS_MAKER = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The checker must not be the maker",
        "复核人不能是经办人",
        "Let somebody else check it; whoever wrote it cannot put it in force.",
    )
    OUT_OF_SCOPE = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no such row within the caller's reach",
        "在您的权限范围内未找到该记录",
        "Check the id; a row that belongs to others looks the same as none.",
    )
    UNKNOWN_METHOD = ReasonText(
        grpc.StatusCode.UNIMPLEMENTED,
        "The service has no such method",
        "服务不存在该方法",
        "Compare the client's contract with the server's.",
    )
    DEADLINE_EXCEEDED = ReasonText(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "The call did not finish in time",
        "请求超时",
        "Try again; if it stays, ask for less or allow more time.",
    )
    OVERLOADED = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Too many calls are in flight",
        "服务繁忙",
        "Wait for the time in Retry-After and try again.",
    )
    UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "No instance of the service can be reached",
        "服务暂不可用",
        "Try again in a moment; the supervisor restarts what died.",
    )
    CIRCUIT_OPEN = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "Calls of this method fail too often: this one was not sent",
        "该方法近期频繁失败，本次请求未发送",
        "Wait for the time in Retry-After and try again; operators look at the service's errors.",
    )
    REQUEST_ID_REUSED = ReasonText(
        grpc.StatusCode.ALREADY_EXISTS,
        "The request id was used before with another request",
        "该请求编号已用于不同内容的请求",
        "Use a new request id for a new request.",
    )
    INTERNAL = ReasonText(
        grpc.StatusCode.INTERNAL,
        "Something went wrong on our side",
        "系统内部错误",
        "Give the incident id to the operators; it is in the log.",
    )


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: path of the field and what is wrong with it."""

    field: str
    description: str


class MeshError(Exception):
    """An error that may be shown to the caller.

    Args:
        reason: member of a `Reason` enum; fixes the code.
        detail: one sentence about this case; the reason's title by default.
            Never personal data, secrets or text of foreign exceptions.
        metadata: facts for programs, as text.
        violations: broken field rules.
        retry_after_s: when to try again, in seconds.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        self.reason = reason
        self.detail = detail or reason.text.english
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s
        super().__init__(f"{reason.name}: {self.detail}")

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code."""
        return self.reason.code

    def to_status(self) -> status_pb2.Status:
        """The error as `google.rpc.Status`, with ErrorInfo and both languages."""
        text = self.reason.text
        info = error_details_pb2.ErrorInfo(
            reason=self.reason.name, domain=DOMAIN, metadata=self.metadata
        )
        details = [
            info,
            error_details_pb2.LocalizedMessage(locale="en", message=text.english),
            error_details_pb2.LocalizedMessage(locale="zh-CN", message=text.chinese),
            error_details_pb2.Help(links=[error_details_pb2.Help.Link(description=text.next_step)]),
        ]
        if self.violations:
            bad = error_details_pb2.BadRequest()
            for violation in self.violations:
                bad.field_violations.add(field=violation.field, description=violation.description)
            details.append(bad)
        if self.retry_after_s is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromNanoseconds(int(self.retry_after_s * 1e9))
            details.append(retry)
        status = status_pb2.Status(code=self.code.value[0], message=self.detail)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """What a client can read from a failed call, whoever answered it.

    `reason` is empty when the peer sent no ErrorInfo; `titles` maps a locale to
    the reason's title. Details of unknown type are dropped, the error is kept.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: Mapping[str, str]
    titles: Mapping[str, str]
    next_step: str = ""
    violations: tuple[Violation, ...] = ()
    retry_after_s: float | None = None

    @classmethod
    def from_status(cls, status: status_pb2.Status) -> Self:
        """Read a `google.rpc.Status`."""
        info = error_details_pb2.ErrorInfo()
        bad = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        help_ = error_details_pb2.Help()
        titles: dict[str, str] = {}
        retry_after: float | None = None
        for detail in status.details:
            localized = error_details_pb2.LocalizedMessage()
            try:
                if detail.Unpack(retry):
                    retry_after = retry.retry_delay.ToNanoseconds() / 1e9
                elif detail.Unpack(localized):
                    titles[localized.locale] = localized.message
                else:
                    _ = detail.Unpack(info) or detail.Unpack(bad) or detail.Unpack(help_)
            except DecodeError:
                continue
        return cls(
            code=_CODES.get(status.code, grpc.StatusCode.UNKNOWN),
            message=status.message,
            reason=info.reason,
            metadata=dict(info.metadata),
            titles=titles,
            next_step=help_.links[0].description if help_.links else "",
            violations=tuple(Violation(v.field, v.description) for v in bad.field_violations),
            retry_after_s=retry_after,
        )

    @classmethod
    def from_rpc(cls, error: grpc.RpcError) -> Self:
        """Read a failed call: `grpc.aio.AioRpcError` or the blocking form."""
        trailing: Any = getattr(error, "trailing_metadata", tuple)() or ()
        for key, value in trailing:
            if key == STATUS_DETAILS_KEY:
                try:
                    return cls.from_status(status_pb2.Status.FromString(value))
                except DecodeError:
                    break
        code = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
        details = error.details() if hasattr(error, "details") else ""
        return cls(code=code, message=details or "", metadata={}, titles={})


def status_code(number: int) -> grpc.StatusCode:
    """The status code with this number; UNKNOWN when there is none."""
    return _CODES.get(number, grpc.StatusCode.UNKNOWN)


assert set(_CODES) == set(code_pb2.Code.values()), "grpc and google.rpc name the same codes"
