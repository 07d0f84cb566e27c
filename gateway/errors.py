"""What can go wrong between the socket and the service, as the caller sees it."""

from __future__ import annotations

from dataclasses import dataclass

from grpc import StatusCode

from mesh.errors import Reason, ReasonText


@dataclass(frozen=True, slots=True)
class EdgeText(ReasonText):
    """A reason of the edge; its HTTP status may be finer than its gRPC code."""

    http_status: int


class GatewayReason(Reason):
    """Reasons of the gateway itself."""

    MALFORMED_HTTP = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "The HTTP request cannot be read",
        "HTTP 请求格式错误",
        "Send HTTP/1.1 with one Host header and one way of framing the body.",
        400,
    )
    HTTP_VERSION_UNSUPPORTED = EdgeText(
        StatusCode.UNIMPLEMENTED,
        "The HTTP version is not served here",
        "不支持的 HTTP 版本",
        "Use HTTP/1.1.",
        505,
    )
    TRANSFER_ENCODING_UNSUPPORTED = EdgeText(
        StatusCode.UNIMPLEMENTED,
        "The transfer encoding is not served here",
        "不支持的传输编码",
        "Send the body with Content-Length, or with Transfer-Encoding: chunked alone.",
        501,
    )
    EXPECTATION_FAILED = EdgeText(
        StatusCode.UNIMPLEMENTED,
        "The expectation cannot be met",
        "无法满足 Expect 请求头",
        "Expect nothing but 100-continue.",
        417,
    )
    HEADERS_TOO_LARGE = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "The head of the request is too large",
        "请求头过大",
        "Send fewer or shorter headers.",
        431,
    )
    URL_TOO_LONG = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "The URL is too long",
        "请求地址过长",
        "Move parameters from the URL into the body where the method has one.",
        414,
    )
    BODY_TOO_LARGE = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "The body is too large",
        "请求体过大",
        "Send less at once.",
        413,
    )
    REQUEST_TIMEOUT = EdgeText(
        StatusCode.DEADLINE_EXCEEDED,
        "The request did not arrive in time",
        "请求未在规定时间内到达",
        "Send the whole request without pauses.",
        408,
    )
    TOO_MANY_CONNECTIONS = EdgeText(
        StatusCode.UNAVAILABLE,
        "Too many connections are open",
        "连接数过多",
        "Try again in a moment; keep connections alive instead of opening new ones.",
        503,
    )
    MALFORMED_URL = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "The URL cannot be read",
        "请求地址格式错误",
        "Percent-encode the URL as UTF-8; leave out '.', '..' and control characters.",
        400,
    )
    ROUTE_NOT_FOUND = EdgeText(
        StatusCode.NOT_FOUND,
        "Nothing is served at this path",
        "请求的路径不存在",
        "Compare the path with /openapi.json.",
        404,
    )
    METHOD_NOT_ALLOWED = EdgeText(
        StatusCode.UNIMPLEMENTED,
        "The path does not take this HTTP method",
        "该路径不支持此 HTTP 方法",
        "Use one of the methods in the header Allow.",
        405,
    )
    UNSUPPORTED_MEDIA_TYPE = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "The media type of the body is not read here",
        "不支持的请求内容类型",
        "Send Content-Type: application/json, in UTF-8.",
        415,
    )
    NOT_ACCEPTABLE = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "None of the accepted media types can be answered",
        "无法按要求的内容类型应答",
        "Accept application/json.",
        406,
    )
    MALFORMED_JSON = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "The body is not valid JSON",
        "请求体不是合法的 JSON",
        "Send one JSON document in UTF-8 in which no key stands twice.",
        400,
    )
    UNKNOWN_FIELD = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "A field is not part of the contract",
        "请求包含未定义的字段",
        "Leave out the fields listed under violations, or correct their names.",
        400,
    )
    INVALID_FIELD = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "A field does not have the form that the contract asks for",
        "字段格式不正确",
        "Correct the fields listed under violations.",
        400,
    )
    CONFLICTING_FIELD = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "A field is given more than once",
        "字段重复赋值",
        "Give each field in one place: the path, the query, the body or a header.",
        400,
    )
    BODY_NOT_ALLOWED = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "The method takes no body",
        "该请求不接受请求体",
        "Send the fields in the query.",
        400,
    )
    INVALID_HEADER = EdgeText(
        StatusCode.INVALID_ARGUMENT,
        "A header does not have the form that it must have",
        "请求头格式不正确",
        "Correct the header named in the detail.",
        400,
    )
    PRECONDITION_FAILED = EdgeText(
        StatusCode.ABORTED,
        "What is asked for is not in the state that the request asks for",
        "资源状态与请求条件不符",
        "Read it again without If-Match and decide again.",
        412,
    )
    RANGE_NOT_SATISFIABLE = EdgeText(
        StatusCode.OUT_OF_RANGE,
        "The range lies beyond the end",
        "请求的范围超出内容长度",
        "Take the length from the header Content-Range and ask for bytes before it.",
        416,
    )
    RATE_LIMITED = EdgeText(
        StatusCode.RESOURCE_EXHAUSTED,
        "The caller sends too many requests",
        "请求过于频繁",
        "Wait for the time in Retry-After and send fewer at once.",
        429,
    )
