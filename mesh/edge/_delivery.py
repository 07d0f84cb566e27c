"""Which bytes of a document a conditional or partial request gets (RFC 9110, sections 13 and 14).

One range is honoured. Several in one request, and what is no range at all, are
answered with the whole document, as the RFC allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from mesh.edge._answer import EdgeError, Header

PIECE_BYTES: Final = 1 << 20
"""Bytes that one call answers, unless it says otherwise; the gateway asks on for the rest."""

_UNIT = re.compile(r"bytes=(.*)", re.IGNORECASE)
_RANGE = re.compile(
    r"(?:(?P<first>[0-9]{1,1000})-(?P<last>[0-9]{0,1000})|-(?P<suffix>[0-9]{1,1000}))"
)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_TAG = re.compile(r"(?:W/)?\"[\x21\x23-\x7e]*\"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The headers of a request that decide what it gets; empty where absent."""

    if_match: str = ""
    if_none_match: str = ""
    if_range: str = ""
    range: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """The conditions among headers, by name in lower case."""
        return cls(
            if_match=headers.get("if-match", ""),
            if_none_match=headers.get("if-none-match", ""),
            if_range=headers.get("if-range", ""),
            range=headers.get("range", ""),
        )


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Bytes `first` to `last`, inclusive, of `length`."""

    first: int
    last: int
    length: int

    @property
    def text(self) -> str:
        """As the header Content-Range says it."""
        return f"bytes {self.first}-{self.last}/{self.length}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What the header says; None when it says nothing that can be."""
        match = _CONTENT_RANGE.fullmatch(text)
        if match is None:
            return None
        first, last, length = map(int, match.groups())
        return cls(first, last, length) if first <= last < length else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How to answer: the bytes from `start` to before `stop`, the first piece of the body.

    `status` is 200, 206, 304, 412 or 416; the last three have no bytes. `length`
    is that of the body that is announced: of the whole document or of the range.
    """

    status: int
    start: int = 0
    stop: int = 0
    length: int = 0
    headers: tuple[Header, ...] = ()

    @classmethod
    def decide(
        cls, asked: Conditions, *, length: int, etag: str, piece_bytes: int = PIECE_BYTES
    ) -> Self:
        """The answer to a request to read, its conditions in the order of RFC 9110, 13.2.2.

        Args:
            asked: the request's conditions.
            length: bytes of the document.
            etag: its strong entity tag, quoted; empty when it has none.
            piece_bytes: the most that one call may answer.

        Raises:
            EdgeError: the tag is not a strong one, or is missing from a document of
                several pieces, which could change between them.
        """
        if etag and (etag.startswith("W/") or not _TAG.fullmatch(etag)):
            raise EdgeError(f"{etag} is not a strong entity tag in quotes")
        if not etag and length > piece_bytes:
            raise EdgeError("a document of several pieces needs an entity tag")
        tagged: tuple[Header, ...] = (("etag", etag),) if etag else ()
        headers = (*tagged, ("accept-ranges", "bytes"))
        if asked.if_match and not _matches(asked.if_match, etag, weak=False):
            return cls(status=412, headers=tagged)
        if asked.if_none_match and _matches(asked.if_none_match, etag, weak=True):
            return cls(status=304, headers=tagged)
        if not asked.range or (asked.if_range and asked.if_range != etag):
            return cls._whole(length, headers, piece_bytes)
        found = _chosen(asked.range, length)
        if found is None:
            return cls._whole(length, headers, piece_bytes)
        if not found:
            return cls(status=416, headers=(*headers, ("content-range", f"bytes */{length}")))
        said = ("content-range", ContentRange(found.start, found[-1], length).text)
        return cls(
            status=206,
            start=found.start,
            stop=min(found.stop, found.start + piece_bytes),
            length=len(found),
            headers=(*headers, said),
        )

    @classmethod
    def _whole(cls, length: int, headers: tuple[Header, ...], piece_bytes: int) -> Self:
        return cls(status=200, stop=min(length, piece_bytes), length=length, headers=headers)


def _chosen(header: str, length: int) -> range | None:
    """The bytes of the one range; empty when it has none of them; None to ignore the header."""
    unit = _UNIT.fullmatch(header.strip())
    if unit is None or not length:
        return None
    named = [part.strip() for part in unit[1].split(",") if part.strip()]
    match = _RANGE.fullmatch(named[0]) if len(named) == 1 else None
    if match is None:
        return None
    if match["suffix"] is not None:
        return range(max(0, length - int(match["suffix"])), length)
    first = int(match["first"])
    if not match["last"]:
        return range(first, length)
    last = int(match["last"])
    return range(first, min(last + 1, length)) if first <= last else None


def _matches(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or "*", names the document."""
    if header.strip() == "*":
        return True
    tags = {tag.removeprefix("W/") if weak else tag for tag in _TAG.findall(header)}
    return bool(etag) and etag in tags
