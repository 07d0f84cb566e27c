"""What the gateway passes on of an HTTP request, as metadata of the call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

METHOD: Final = "x-http-method"
REQUEST: Final = "x-http-"

REQUEST_HEADERS: Final = ("cookie", "if-match", "if-none-match", "if-range", "range")
"""The headers that are passed on; an absent one is not."""

GET_ONLY: Final = frozenset({"range", "if-range"})
"""Headers that mean nothing with other methods (RFC 9110, section 14.2)."""

MAX_REQUEST_BYTES: Final = 4 << 10
"""What the headers passed on may hold in all: a call's metadata is bounded too."""

_VALUE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Method and headers of an HTTP request; both empty for a caller that is not the gateway."""

    method: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The request as metadata."""
        headers = ((REQUEST + name, value) for name, value in self.headers.items())
        return ((METHOD, self.method), *headers)

    @classmethod
    def over_http(cls, method: str, header: Callable[[bytes], str]) -> Self:
        """What is passed on of a request.

        Args:
            method: HTTP method.
            header: the value of a header by its name in lower case; empty when absent.

        Raises:
            ValueError: a header is too long, or not printable ASCII; the text names it.
        """
        names = (n for n in REQUEST_HEADERS if method == "GET" or n not in GET_ONLY)
        given = ((name, header(name.encode("ascii"))) for name in names)
        headers = {name: value for name, value in given if value}
        for name, value in headers.items():
            if not _VALUE.fullmatch(value):
                raise ValueError(f"{name} is not printable ASCII")
        if sum(map(len, headers.values())) > MAX_REQUEST_BYTES:
            raise ValueError(f"{max(headers, key=lambda name: len(headers[name]))} is too long")
        return cls(method=method, headers=headers)

    @classmethod
    def of(cls, metadata: Mapping[str, str | bytes]) -> Self:
        """The request that a call's metadata holds."""
        given = {name: metadata.get(REQUEST + name, "") for name in REQUEST_HEADERS}
        headers = {name: value for name, value in given.items() if value and isinstance(value, str)}
        method = metadata.get(METHOD, "")
        return cls(method=method if isinstance(method, str) else "", headers=headers)
