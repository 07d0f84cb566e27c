"""Percent-encoding, strictly: what two readers could decode differently is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from gateway.errors import GatewayReason
from mesh.errors import MeshError

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decode(text: str) -> str:
    """Text without its percent-encoding; a plus sign stays one.

    Raises:
        MeshError: MALFORMED_URL; an escape is cut short, or the bytes are no UTF-8.
    """
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise MeshError(
            GatewayReason.MALFORMED_URL,
            "A percent sign is not followed by two hexadecimal digits",
        )
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise MeshError(GatewayReason.MALFORMED_URL, "The URL is not UTF-8") from None


def parameters(query: str) -> Iterator[tuple[str, str]]:
    """Names and values of a query, in order. Here a plus sign is a space.

    Raises:
        MeshError: MALFORMED_URL.
    """
    for part in query.replace("+", " ").split("&"):
        if part:
            name, _, value = part.partition("=")
            yield decode(name), decode(value)
