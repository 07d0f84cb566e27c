"""Bodies of any media type: `google.api.HttpBody`, up and down."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from gateway.http import Header, Request, Response

HTTP_BODY: Final = "google.api.HttpBody"
NO_STORE: Final[Header] = (b"cache-control", b"no-store")


def is_raw(resource: Descriptor | None) -> bool:
    """Whether a body that is this message goes as it is, and not as JSON."""
    return resource is not None and resource.full_name == HTTP_BODY


class RawReader:
    """Reads bodies into a request message.

    Args:
        request: type of the request.
        field: field that the body is; "*": the request itself.
    """

    def __init__(self, request: Descriptor, field: str) -> None:
        self._build = message_factory.GetMessageClass(request)
        self._field = "" if field == "*" else field

    def __call__(self, http: Request) -> Message:
        """The request message with the body and its content type, be they empty."""
        message: Message = self._build()
        target: Any = getattr(message, self._field) if self._field else message
        target.SetInParent()
        target.content_type = http.header(b"content-type")
        target.data = http.body
        return message


def response(message: Any) -> Response:
    """The HTTP response that an HttpBody is."""
    content_type = message.content_type or "application/octet-stream"
    return Response(
        body=message.data,
        content_type=content_type.encode("latin-1", "replace"),
        headers=(NO_STORE, (b"x-content-type-options", b"nosniff")),
    )
