"""The HTTP edge as the handler of a method sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mesh.edge._answer import Answer, Header
from mesh.edge._asked import REQUEST_HEADERS, Asked
from mesh.edge._delivery import PIECE_BYTES, Conditions, Delivery

if TYPE_CHECKING:
    import grpc

HEAD: Final = "HEAD"
CACHING: Final = frozenset({"cache-control", "vary"})
"""What an answer of 304 repeats (RFC 9110, section 15.4.5)."""


class HttpEdge:
    """The HTTP request behind a call, and the way to answer more than a message.

    Only methods with the option `http_edge` are given a request, and are heard.

    Args:
        transport: the servicer context that the handler was given.
    """

    def __init__(self, transport: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._transport = transport
        self._asked = Asked.of(dict(transport.invocation_metadata() or ()))

    @property
    def wants_body(self) -> bool:
        """Whether bytes are read at all: HEAD asks for status and headers alone."""
        return self._asked.method != HEAD

    def request_header(self, name: str) -> str:
        """The value of one of `REQUEST_HEADERS`; empty when it was not sent.

        Raises:
            KeyError: a header that is never passed on.
        """
        key = name.lower()
        if key not in REQUEST_HEADERS:
            raise KeyError(name)
        return self._asked.headers.get(key, "")

    async def respond(
        self, *, status: int = 200, headers: Iterable[Header] = (), length: int | None = None
    ) -> None:
        """Set status and headers of the HTTP response; once, before the handler returns.

        Args:
            status: 200 to 599.
            headers: names of `RESPONSE_HEADERS`, in any case, with their values.
            length: bytes of the whole body where the message holds less of it.

        Raises:
            EdgeError: a status or header that may not be set.
        """
        named = tuple((name.lower(), value) for name, value in headers)
        answer = Answer(status=status, headers=named, length=length)
        await self._transport.send_initial_metadata(answer.metadata())

    async def deliver(
        self,
        *,
        length: int,
        etag: str,
        headers: Iterable[Header] = (),
        piece_bytes: int = PIECE_BYTES,
    ) -> Delivery:
        """Answer with a document, or the part of it that was asked for.

        The handler returns the bytes from `start` to before `stop` as its HttpBody:
        none for HEAD, and none where there is nothing to send. Where they are less
        than was asked for, the gateway calls again for the rest.

        Args:
            length: bytes of the document.
            etag: its strong entity tag, quoted: needed where it is more than a piece.
            headers: further ones, sent with the document's bytes; those for caches
                also where the client has them already.
            piece_bytes: the most that one call answers.

        Raises:
            EdgeError: a header that may not be set, or no strong tag where one is needed.
        """
        conditions = Conditions.of(self._asked.headers)
        found = Delivery.decide(conditions, length=length, etag=etag, piece_bytes=piece_bytes)
        has_content = found.status < 300
        about_caching = CACHING if found.status == 304 else frozenset()
        further = (h for h in headers if has_content or h[0].lower() in about_caching)
        await self.respond(
            status=found.status,
            headers=(*found.headers, *further),
            length=found.length if has_content else None,
        )
        return found if self.wants_body else replace(found, stop=found.start)
