"""Bytes to requests, without a socket: framing and bounds.

llhttp parses. What it lets through that could be framed in two ways, or that
has no bound, is refused here. Bytes are counted before llhttp sees them, because
it buffers a header of any size without a word.
"""

from __future__ import annotations

import re
from typing import Final

import httptools

from gateway.errors import GatewayReason
from gateway.http._message import Request
from mesh.errors import MeshError

MAX_URL_BYTES: Final = 8 << 10
MAX_HEADERS: Final = 100

_END = b"\r\n\r\n"
_HOST = re.compile(rb"[A-Za-z0-9.\-_~:%\[\]]+")
_CLOSE = re.compile(rb"(?:^|[,\s])close(?:$|[,\s])", re.IGNORECASE)


class RequestReader:
    """Takes the bytes of one connection and gives its requests, one at a time.

    After an error it must not be used again: where the next request begins is
    not known then.

    Args:
        max_head: bytes of request line and headers, and of what may stand
            between two pieces of data in a chunked body.
        max_body: bytes of a body.
        client: address of the peer, for the requests.
    """

    def __init__(self, *, max_head: int, max_body: int, client: str = "") -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._client = client
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def _begin(self) -> None:
        """Make ready for the next request."""
        self._received = 0
        self._quiet = 0  # bytes since the request, or the data of its body, last went on
        self._tail = b""
        self._method = ""
        self._url = b""
        self._version = ""
        self._headers: dict[bytes, bytes] = {}
        self._header_count = 0
        self._in_body = False
        self._length: int | None = None
        self._body: list[bytes] = []
        self._body_size = 0
        self._wants_continue = False
        self._complete = False
        self._problem: MeshError | None = None

    @property
    def received(self) -> int:
        """Bytes of the request under way; 0 between requests."""
        return self._received

    def take_continue(self) -> bool:
        """Whether the client waits for "100 Continue" before it sends the body; said once."""
        wanted, self._wants_continue = self._wants_continue, False
        return wanted

    def read(self, data: bytes) -> tuple[Request | None, bytes]:
        """Take `data` up to the end of one request.

        Returns:
            The request, or None when more bytes are needed, and the bytes after it.

        Raises:
            MeshError: a `GatewayReason`; the bytes cannot or will not be read on.
        """
        while data:
            size = self._piece(data)
            self._feed(data[:size])
            data = data[size:]
            if self._problem is not None:
                raise self._problem
            if self._complete:
                request = self._request()
                self._begin()
                return request, data
        return None, b""

    def on_url(self, url: bytes) -> None:
        """llhttp: a part of the request target."""
        if self._in_body:
            return  # the head that `_ignore_upgrade` feeds
        self._url += url
        if len(self._url) > MAX_URL_BYTES:
            self._refuse(GatewayReason.URL_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: a header, or a trailer."""
        if self._in_body:
            return  # trailers are read and dropped
        name = name.lower()
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            self._refuse(GatewayReason.HEADERS_TOO_LARGE, "There are too many headers")
        elif name not in self._headers:
            self._headers[name] = value
        elif name == b"host":
            self._refuse(GatewayReason.MALFORMED_HTTP, "There is more than one Host header")
        else:
            self._headers[name] += b", " + value

    def on_headers_complete(self) -> None:
        """llhttp: the head has ended."""
        if self._in_body:
            return
        self._in_body = True
        self._quiet = 0
        self._method = self._parser.get_method().decode("ascii")
        self._version = self._parser.get_http_version()
        self._check_line()
        self._check_framing()

    def on_body(self, data: bytes) -> None:
        """llhttp: a part of the body."""
        self._quiet = 0
        self._wants_continue = False
        self._body_size += len(data)
        if self._body_size > self._max_body:
            self._refuse(GatewayReason.BODY_TOO_LARGE)
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """llhttp: the request has ended."""
        self._complete = True

    def _refuse(self, reason: GatewayReason, detail: str = "") -> None:
        if self._problem is None:
            self._problem = MeshError(reason, detail)

    def _piece(self, data: bytes) -> int:
        """How many bytes of `data` to feed, so that at most one request ends with them.

        A head and a chunked body end with an empty line, and the length of any
        other body is known: requests behind the next one stay bytes.
        """
        if self._length is not None:
            return min(self._length - self._body_size, len(data))
        window = self._tail + data
        end = window.find(_END)
        if end < 0:
            self._tail = window[-3:]
            return len(data)
        size = end + len(_END) - len(self._tail)
        self._tail = b""
        return size

    def _feed(self, piece: bytes) -> None:
        """Count, then parse."""
        self._received += len(piece)
        self._quiet += len(piece)
        over = self._length is None and self._quiet > self._max_head
        if over and not self._in_body:
            # The part that may be seen tells whether it is the URL that is too long.
            piece = piece[: self._max_head - self._quiet]
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._ignore_upgrade()
        except httptools.HttpParserError as error:
            self._refuse(_reason(error))
        if over and self._quiet > self._max_head:
            self._refuse(GatewayReason.HEADERS_TOO_LARGE)

    def _ignore_upgrade(self) -> None:
        """Go on with HTTP/1.1 where llhttp stopped to let another protocol take over.

        It takes the request for complete at the end of its head. A body that was
        announced is read by a new parser, which needs a head to begin with.
        """
        self._parser = httptools.HttpRequestParser(self)
        if self._length:
            self._resume(b"content-length: %d" % self._length)
        elif b"transfer-encoding" in self._headers:
            self._resume(b"transfer-encoding: chunked")

    def _resume(self, framing: bytes) -> None:
        self._complete = False
        self._parser.feed_data(b"POST / HTTP/1.1\r\nhost: -\r\n" + framing + _END)

    def _check_line(self) -> None:
        if self._version not in {"1.1", "1.0"}:
            self._refuse(GatewayReason.HTTP_VERSION_UNSUPPORTED)
        host = self._headers.get(b"host")
        if host is None and self._version == "1.1":
            self._refuse(GatewayReason.MALFORMED_HTTP, "The Host header is missing")
        elif host is not None and not _HOST.fullmatch(host):
            self._refuse(GatewayReason.MALFORMED_HTTP, "The Host header is not a host")
        if not self._url.startswith((b"/", b"http://", b"https://")) and self._url != b"*":
            self._refuse(GatewayReason.MALFORMED_HTTP, "The request target is not a path")
        elif b"#" in self._url:
            self._refuse(GatewayReason.MALFORMED_HTTP, "The request target has a fragment")

    def _check_framing(self) -> None:
        """Check what llhttp lets through; two framings at once it has refused."""
        headers = self._headers
        coding = headers.get(b"transfer-encoding")
        if coding is not None:
            if self._version == "1.0":
                self._refuse(GatewayReason.MALFORMED_HTTP, "HTTP/1.0 has no Transfer-Encoding")
            elif coding.strip().lower() != b"chunked":
                self._refuse(GatewayReason.TRANSFER_ENCODING_UNSUPPORTED)
        else:
            self._length = int(headers.get(b"content-length", b"0"))
            if self._length > self._max_body:
                self._refuse(GatewayReason.BODY_TOO_LARGE)
        expect = headers.get(b"expect")
        if expect is not None and expect.lower() != b"100-continue":
            self._refuse(GatewayReason.EXPECTATION_FAILED)
        self._wants_continue = expect is not None and self._length != 0

    def _request(self) -> Request:
        target, _, query = self._url.decode("ascii").partition("?")
        if "://" in target and not target.startswith("/"):
            target = "/" + target.partition("://")[2].partition("/")[2]
        body = self._body
        return Request(
            method=self._method,
            path=target,
            query=query,
            headers=self._headers,
            body=body[0] if len(body) == 1 else b"".join(body),
            client=self._client,
            keep_alive=self._keep_alive(),
        )

    def _keep_alive(self) -> bool:
        connection = self._headers.get(b"connection")
        if self._version != "1.1":
            return False
        return connection is None or _CLOSE.search(connection) is None


def _reason(error: httptools.HttpParserError) -> GatewayReason:
    """The reason for what llhttp refuses; it tells by its text alone."""
    text = str(error)
    if "HTTP version" in text or "PRI" in text:
        return GatewayReason.HTTP_VERSION_UNSUPPORTED
    return GatewayReason.MALFORMED_HTTP
