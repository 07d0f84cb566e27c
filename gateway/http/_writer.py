"""Responses to bytes."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from gateway.http._message import Header, Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_LINE_BREAKS = re.compile(rb"[\r\n\0]")
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_BODILESS = frozenset({204, 304})
"""Answers that have neither body nor length (RFC 9110, sections 15.3.5 and 15.4.5)."""


def encode(response: Response, *, now: int, close: bool, head_only: bool) -> bytes:
    """The bytes of a response.

    Args:
        response: what to send.
        now: POSIX seconds, for the Date header.
        close: whether the connection is closed after it.
        head_only: leave the body out, as HEAD asks; its length is told all the same.

    Raises:
        ValueError: a header would break the line.
    """
    parts = [_line(response.status), _date(now)]
    if response.status not in _BODILESS:
        length = len(response.body) if response.length is None else response.length
        parts.append(_content(response.content_type, length))
    if response.headers:
        parts.extend(map(_header, response.headers))
    if close:
        parts.append(b"connection: close\r\n")
    parts.append(b"\r\n")
    if not head_only and response.status not in _BODILESS:
        parts.append(response.body)
    return b"".join(parts)


async def rest(response: Response) -> AsyncGenerator[bytes, None]:
    """The pieces of a body that follow its beginning; none when that is all of it.

    Raises:
        ValueError: they are more or fewer bytes than were announced.
    """
    if response.rest is None:
        return
    missing = (response.length or 0) - len(response.body)
    async with aclosing(response.rest) as pieces:
        async for piece in pieces:
            missing -= len(piece)
            if missing < 0:
                break
            yield piece
    if missing:
        raise ValueError("the body is not as long as was announced")


@lru_cache(maxsize=128)
def _line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode("ascii")


@lru_cache(maxsize=2)
def _date(now: int) -> bytes:
    return f"date: {formatdate(now, usegmt=True)}\r\n".encode("ascii")


def _content(content_type: bytes, length: int) -> bytes:
    if not content_type:
        return b"content-length: %d\r\n" % length
    return b"content-type: %b\r\ncontent-length: %d\r\n" % (_safe(content_type), length)


def _header(header: Header) -> bytes:
    name, value = header
    return b"%b: %b\r\n" % (_safe(name), _safe(value))


def _safe(text: bytes) -> bytes:
    if _LINE_BREAKS.search(text):
        raise ValueError("a response header contains a line break")
    return text
