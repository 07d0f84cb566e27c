"""Which bytes of a document a request gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.edge import Conditions, ContentRange, Delivery, EdgeError

ETAG = '"v1"'
LENGTHS = st.integers(1, 50)
NUMBERS = st.integers(0, 60) | st.integers(10**18, 10**25)
PIECES = st.integers(1, 60)


def decided(length: int, *, piece_bytes: int = 1000, etag: str = ETAG, **asked: str) -> Delivery:
    return Delivery.decide(Conditions(**asked), length=length, etag=etag, piece_bytes=piece_bytes)


def answers(found: Delivery, length: int, wanted: list[int], piece_bytes: int) -> bool:
    """Whether a delivery says and sends these bytes of a document, as far as a piece holds."""
    said = dict(found.headers)["content-range"]
    return (
        (found.status, found.length) == (206, len(wanted))
        and list(range(found.start, found.stop)) == wanted[:piece_bytes]
        and said == f"bytes {wanted[0]}-{wanted[-1]}/{length}"
        and ContentRange.parse(said) == ContentRange(wanted[0], wanted[-1], length)
    )


@given(LENGTHS, NUMBERS, NUMBERS, PIECES)
def test_closed_range_is_the_bytes_between(
    length: int, first: int, last: int, piece_bytes: int
) -> None:
    """Both ends are in it, as far as there are bytes; backwards it is no range at all."""
    found = decided(length, range=f"bytes={first}-{last}", piece_bytes=piece_bytes)
    wanted = [byte for byte in range(length) if first <= byte <= last]
    if first > last:
        assert (found.status, found.length) == (200, length)
    elif not wanted:
        assert (found.status, found.start, found.stop) == (416, 0, 0)
        assert ("content-range", f"bytes */{length}") in found.headers
    else:
        assert answers(found, length, wanted, piece_bytes)


@given(LENGTHS, NUMBERS, PIECES)
def test_open_range_goes_to_the_end(length: int, first: int, piece_bytes: int) -> None:
    """From the first byte named on; beyond the end there is nothing."""
    found = decided(length, range=f"bytes={first}-", piece_bytes=piece_bytes)
    wanted = [byte for byte in range(length) if first <= byte]
    assert answers(found, length, wanted, piece_bytes) if wanted else found.status == 416


@given(LENGTHS, NUMBERS, PIECES)
def test_suffix_is_the_last_bytes(length: int, count: int, piece_bytes: int) -> None:
    """As many as named, at most all; of none there is nothing."""
    found = decided(length, range=f"bytes=-{count}", piece_bytes=piece_bytes)
    wanted = [byte for byte in range(length) if byte >= length - count]
    assert answers(found, length, wanted, piece_bytes) if wanted else found.status == 416


@given(st.integers(0, 50), st.text(max_size=40) | st.text("bytes=0123456789-, ", max_size=40))
def test_any_header_is_answered_within_the_document(length: int, header: str) -> None:
    """Whatever is asked, the bytes lie within and the status is one of those that may be."""
    found = decided(length, range=header, piece_bytes=7)
    assert found.status in {200, 206, 416}
    assert 0 <= found.start <= found.stop <= length
    assert found.stop - found.start == min(found.length, 7)


@given(st.integers(0, 50), PIECES)
def test_pieces_asked_for_one_after_another_are_the_document(length: int, piece_bytes: int) -> None:
    """As the gateway asks on: each piece begins where the one before ended."""
    whole = bytes(range(length))
    found = decided(length, piece_bytes=piece_bytes)
    body = whole[found.start : found.stop]
    while len(body) < found.length:
        asked = f"bytes={len(body)}-{length - 1}"
        piece = decided(length, range=asked, if_match=ETAG, piece_bytes=piece_bytes)
        assert (piece.status, piece.start) == (206, len(body))
        body += whole[piece.start : piece.stop]
    assert body == whole


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=0",
        "bytes=5-2",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=0-1,3-4",
        "bytes=0-1,x",
        "bytes=0-1, bytes=3-4",
        "lines=0-1",
        "bytes=٠-١",
        f"bytes=0-{'9' * 1001}",
    ],
)
def test_what_is_no_single_range_is_ignored(header: str) -> None:
    """The whole document is answered, as if it had not been there."""
    assert decided(10, range=header) == decided(10)


@pytest.mark.parametrize("header", ["bytes=0-1", "BYTES=0-1", " bytes=0-1", "bytes= 0-1 , "])
def test_ranges_may_be_written_in_several_ways(header: str) -> None:
    """Units have no case, and empty members of a list count for nothing."""
    found = decided(10, range=header)
    assert (found.status, found.start, found.stop) == (206, 0, 2)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_nothing_has_no_ranges(header: str) -> None:
    """An empty document is answered whole: there is no way to say a range of it."""
    found = decided(0, range=header)
    assert (found.status, found.stop, found.length) == (200, 0, 0)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"if_none_match": ETAG}, 304),
        ({"if_none_match": f"W/{ETAG}"}, 304),
        ({"if_none_match": f'"a,b" , {ETAG}'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"v2"'}, 200),
        ({"if_none_match": "v1"}, 200),
        ({"if_none_match": ETAG, "range": "bytes=99-"}, 304),
        ({"if_match": ETAG}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": f"W/{ETAG}"}, 412),
        ({"if_match": '"v2"'}, 412),
        ({"if_match": "v1"}, 412),
        ({"if_match": '"v2"', "if_none_match": ETAG}, 412),
        ({"if_match": ETAG, "if_none_match": ETAG}, 304),
        ({"if_match": ETAG, "range": "bytes=0-1"}, 206),
        ({"if_range": ETAG, "range": "bytes=0-1"}, 206),
        ({"if_range": f"W/{ETAG}", "range": "bytes=0-1"}, 200),
        ({"if_range": '"v2"', "range": "bytes=0-1"}, 200),
        ({"if_range": '"v2"', "range": "bytes=99-"}, 200),
        ({"if_range": ETAG}, 200),
    ],
)
def test_conditions_hold_in_their_order(asked: dict[str, str], status: int) -> None:
    """First If-Match, strongly; then If-None-Match, weakly; the range last, if If-Range lets it."""
    assert Delivery.decide(Conditions(**asked), length=10, etag=ETAG).status == status


@pytest.mark.parametrize("asked", [{"if_none_match": ETAG}, {"if_match": '"v2"'}])
def test_answers_without_bytes_name_the_present_tag(asked: dict[str, str]) -> None:
    """The client learns what there is now."""
    found = Delivery.decide(Conditions(**asked), length=10, etag=ETAG)
    assert (found.start, found.stop, found.headers) == (0, 0, (("etag", ETAG),))


def test_document_without_tag_matches_star_alone() -> None:
    """It has no tag that could be the one meant."""
    assert decided(10, etag="", if_match="*").status == 200
    assert decided(10, etag="", if_match='""').status == 412
    assert decided(10, etag="", if_none_match='""').status == 200
    assert decided(10, etag="", range="bytes=0-1", if_range='""').status == 200


@pytest.mark.parametrize("etag", ["v1", 'W/"v1"', '"a"b"', '"é"'])
def test_tag_must_be_a_strong_one(etag: str) -> None:
    """Ranges of what is only nearly the same cannot be put together."""
    with pytest.raises(EdgeError, match="strong"):
        decided(10, etag=etag)


def test_document_of_several_pieces_needs_a_tag() -> None:
    """Without one, pieces of two versions could be put together."""
    with pytest.raises(EdgeError, match="tag"):
        decided(11, etag="", piece_bytes=10)
    assert decided(10, etag="", piece_bytes=10).status == 200


@pytest.mark.parametrize(
    "text", ["", "bytes */5", "bytes 3-2/5", "bytes 0-5/5", "bytes 0-1/*", "bytes 0-1/5 "]
)
def test_content_range_that_says_nothing_is_none(text: str) -> None:
    """Only a range that lies within its length is one."""
    assert ContentRange.parse(text) is None
