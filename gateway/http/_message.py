"""Requests and responses as handlers see them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

Header = tuple[bytes, bytes]
"""Name in lower case and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, framed and bounded, otherwise as it was sent.

    Args:
        path: as on the wire: percent-encoded, from the first slash to the query.
        query: as on the wire, without the question mark; empty when there is none.
        headers: by name in lower case; the values of a repeated header are joined by ", ".
        client: IP address of the peer; empty when it has none.
        keep_alive: whether the client may send another request on the connection.
    """

    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes
    client: str = ""
    keep_alive: bool = True

    def header(self, name: bytes) -> str:
        """The value of a header as text (Latin-1); empty when it is absent."""
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer. Length, date and connection headers are the server's own.

    Args:
        body: the body, or its beginning.
        rest: what follows `body`, in pieces. When it raises, or has not as many bytes
            as were announced, the connection is cut, so that the client sees it.
        length: bytes of the whole body where `body` is less: with `rest`, and in the
            answer to HEAD.
    """

    status: int = 200
    body: bytes = b""
    content_type: bytes = b"application/json"
    headers: Sequence[Header] = ()
    rest: AsyncGenerator[bytes, None] | None = None
    length: int | None = None


Handler = Callable[[Request], Awaitable[Response]]
"""Answers a request. It is cancelled when the client leaves; it should not raise otherwise."""
