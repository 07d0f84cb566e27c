"""What a method says of the HTTP response, as initial metadata of its call."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

STATUS: Final = "x-http-status"
LENGTH: Final = "x-http-length"
HEADER: Final = "x-http-header-"

RESPONSE_HEADERS: Final = frozenset(
    {
        "accept-ranges",
        "cache-control",
        "content-disposition",
        "content-range",
        "etag",
        "last-modified",
        "location",
        "set-cookie",
        "vary",
        "x-content-sha256",
    }
)
"""The headers that a method may set. What frames a message is the gateway's own."""

REPEATED: Final = frozenset({"set-cookie"})
"""The headers that may be set more than once."""

Header = tuple[str, str]
"""Name in lower case and value."""

_VALUE = re.compile(r"[\x20-\x7e]*")
_NUMBER = re.compile(r"[0-9]{1,18}")


class EdgeError(ValueError):
    """An answer that a method may not give; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and headers of an HTTP response.

    Args:
        status: 200 to 599.
        headers: those of `RESPONSE_HEADERS` alone; names in lower case.
        length: bytes of the whole body, where the message holds its beginning or
            none of it; None: what the message holds is all.

    Raises:
        EdgeError: a status or header that may not be set.
    """

    status: int = 200
    headers: tuple[Header, ...] = ()
    length: int | None = None

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise EdgeError(f"the status {self.status} is not one of 200 to 599")
        seen: set[str] = set()
        for name, value in self.headers:
            if name not in RESPONSE_HEADERS:
                raise EdgeError(f"the header '{name}' may not be set")
            if not _VALUE.fullmatch(value):
                raise EdgeError(f"the header '{name}' is not printable ASCII")
            if name in seen and name not in REPEATED:
                raise EdgeError(f"the header '{name}' is set twice")
            seen.add(name)

    def header(self, name: str) -> str:
        """The first value of a header; empty when it is not set."""
        return next((value for key, value in self.headers if key == name), "")

    def metadata(self) -> tuple[Header, ...]:
        """The answer as metadata."""
        length = () if self.length is None else ((LENGTH, str(self.length)),)
        headers = ((HEADER + name, value) for name, value in self.headers)
        return ((STATUS, str(self.status)), *length, *headers)

    @classmethod
    def of(cls, metadata: Iterable[tuple[str, str | bytes]]) -> Self:
        """The answer that metadata holds; 200 and no header when it holds none.

        Raises:
            EdgeError: it holds one that a method may not give.
        """
        status, length, headers = 200, None, []
        for key, value in metadata:
            if not isinstance(value, str):
                continue
            if key == STATUS:
                status = _number(key, value)
            elif key == LENGTH:
                length = _number(key, value)
            elif key.startswith(HEADER):
                headers.append((key.removeprefix(HEADER), value))
        return cls(status=status, headers=tuple(headers), length=length)


def _number(key: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise EdgeError(f"{key} is not a number")
    return int(value)
