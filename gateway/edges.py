"""What methods with the option `http_edge` see and say of HTTP, as the gateway carries it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from gateway.errors import GatewayReason
from gateway.http import Header, Request, Response
from mesh.edge import Answer, Asked, ContentRange, EdgeError
from mesh.errors import MeshError

_REASONS: Final[Mapping[int, GatewayReason]] = {
    412: GatewayReason.PRECONDITION_FAILED,
    416: GatewayReason.RANGE_NOT_SATISFIABLE,
}
"""Statuses that the gateway explains where the method does not."""


def asked(http: Request) -> Asked:
    """What the method learns of the request.

    Raises:
        MeshError: INVALID_HEADER.
    """
    try:
        return Asked.over_http(http.method, http.header)
    except ValueError as error:
        raise MeshError(GatewayReason.INVALID_HEADER, str(error)) from error


def said(
    answer: Answer, response: Response, *, rest: AsyncGenerator[bytes, None] | None = None
) -> Response:
    """The response with status and headers as the method said; its headers go before ours."""
    own = headers(answer)
    names = {name for name, _ in own}
    kept = (header for header in response.headers if header[0] not in names)
    return replace(
        response, status=answer.status, headers=(*kept, *own), length=answer.length, rest=rest
    )


def headers(answer: Answer) -> list[Header]:
    """The headers that the method set."""
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in answer.headers]


def refusal(answer: Answer, response: Response) -> MeshError | None:
    """The error that stands for a status without a body which the gateway can explain."""
    reason = _REASONS.get(answer.status)
    return MeshError(reason) if reason and not response.body else None


def is_cut(answer: Answer, response: Response, asked: Asked) -> bool:
    """Whether the answer holds the beginning of a body alone.

    Raises:
        EdgeError: it holds more than it announces, or its rest cannot be asked for.
    """
    if answer.length is None or asked.method != "GET":
        return False
    if len(response.body) > answer.length:
        raise EdgeError("the body is longer than was announced")
    return len(response.body) < answer.length


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The bytes `first` to `last` of a document that are still to be fetched."""

    first: int
    last: int
    etag: str

    @classmethod
    def of(cls, answer: Answer, response: Response) -> Self:
        """What is missing of an answer.

        Raises:
            EdgeError: it cannot be asked for.
        """
        etag, length, sent = answer.header("etag"), answer.length or 0, len(response.body)
        whole = ContentRange(0, length - 1, length) if answer.status == 200 else None
        range_ = whole or ContentRange.parse(answer.header("content-range"))
        if not (etag and sent and range_ and range_.last - range_.first + 1 == length):
            raise EdgeError("the body is cut short, and its rest cannot be asked for")
        return cls(first=range_.first + sent, last=range_.last, etag=etag)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.first > self.last

    @property
    def asked(self) -> Asked:
        """The request for it; refused when the document has changed."""
        headers = {"range": f"bytes={self.first}-{self.last}", "if-match": self.etag}
        return Asked(method="GET", headers=headers)

    def after(self, answer: Answer, piece: bytes) -> Rest:
        """What is missing once a piece has come.

        Raises:
            EdgeError: the piece is not the next one of the same document.
        """
        range_ = ContentRange.parse(answer.header("content-range"))
        is_next = answer.status == 206 and range_ is not None and range_.first == self.first
        if not (is_next and piece and answer.header("etag") == self.etag):
            raise EdgeError(f"the next piece did not come: status {answer.status}")
        return replace(self, first=self.first + len(piece))
