"""What travels between the gateway and a method, and what is refused on either side."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.edge import (
    MAX_REQUEST_BYTES,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    Answer,
    Asked,
    EdgeError,
    Header,
    HttpEdge,
)

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


class Transport:
    """A servicer context with metadata, which keeps what is sent."""

    def __init__(self, *metadata: Header) -> None:
        self._metadata = metadata
        self.sent: list[Any] = []

    def invocation_metadata(self) -> tuple[Header, ...]:
        return self._metadata

    async def send_initial_metadata(self, metadata: Any) -> None:
        self.sent.append(metadata)

    @property
    def answer(self) -> Answer:
        (metadata,) = self.sent
        return Answer.of(metadata)


def edge_over(transport: Transport) -> HttpEdge:
    return HttpEdge(transport)  # type: ignore[arg-type]


@given(
    st.integers(200, 599),
    st.dictionaries(st.sampled_from(sorted(RESPONSE_HEADERS)), PRINTABLE),
    st.none() | st.integers(0, 2**40),
)
def test_answer_survives_its_metadata(
    status: int, headers: dict[str, str], length: int | None
) -> None:
    """What the service says is what the gateway hears."""
    answer = Answer(status=status, headers=tuple(headers.items()), length=length)
    assert Answer.of(answer.metadata()) == answer


@given(st.dictionaries(st.sampled_from(REQUEST_HEADERS), PRINTABLE.filter(bool)))
def test_request_survives_its_metadata(headers: dict[str, str]) -> None:
    """What the gateway passes on is what the service hears."""
    asked = Asked(method="GET", headers=headers)
    assert Asked.of(dict(asked.metadata())) == asked


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (199, ()),
        (600, ()),
        (101, ()),
        (200, (("content-length", "5"),)),
        (200, (("transfer-encoding", "chunked"),)),
        (200, (("connection", "close"),)),
        (200, (("access-control-allow-origin", "*"),)),
        (200, (("Location", "/"),)),
        (200, (("location", "/\r\nset-cookie: a=1"),)),
        (200, (("location", "/\n"),)),
        (200, (("location", "/\x00"),)),
        (200, (("location", "/é"),)),
        (200, (("location", "/"), ("location", "/other"))),
    ],
)
def test_answers_that_may_not_be_given_are_refused(
    status: int, headers: tuple[Header, ...]
) -> None:
    """Where they are made, and again where they are heard."""
    with pytest.raises(EdgeError):
        Answer(status=status, headers=headers)
    metadata = [("x-http-status", str(status))]
    metadata += [(f"x-http-header-{name}", value) for name, value in headers]
    with pytest.raises(EdgeError):
        Answer.of(metadata)


@pytest.mark.parametrize("status", ["", "abc", "+200", "20 0", "٢٠٠", "9" * 30])
def test_status_that_is_no_number_is_refused(status: str) -> None:
    """The gateway does not guess."""
    with pytest.raises(EdgeError):
        Answer.of([("x-http-status", status)])


def test_other_metadata_is_passed_over() -> None:
    """Calls carry more than the answer, and some of it is not text."""
    assert Answer.of([("x-other", "1"), ("x-http-status-bin", b"1")]) == Answer()


def test_cookies_may_be_several() -> None:
    """They alone are headers that come more than once."""
    cookies = (("set-cookie", "a=1"), ("set-cookie", "b=2"))
    assert Answer.of(Answer(headers=cookies).metadata()).headers == cookies


def over_http(method: str, **headers: str) -> Asked:
    given_ = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Asked.over_http(method, lambda name: given_.get(name, ""))


def test_only_the_headers_of_the_list_are_passed_on() -> None:
    """Everything else stays with the gateway."""
    asked = over_http("GET", range="bytes=0-1", authorization="Bearer x", cookie="a=1")
    assert asked.headers == {"cookie": "a=1", "range": "bytes=0-1"}


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_ranges_are_of_get_alone(method: str) -> None:
    """Other methods do not know them (RFC 9110, section 14.2)."""
    asked = over_http(method, range="bytes=0-1", if_range='"v1"', if_match='"v1"')
    assert (asked.method, asked.headers) == (method, {"if-match": '"v1"'})


@pytest.mark.parametrize("value", ["é", "a\tb", "a\x7f", "x" * (MAX_REQUEST_BYTES + 1)])
def test_headers_that_metadata_cannot_hold_are_refused(value: str) -> None:
    """The error names the header and does not repeat it."""
    with pytest.raises(ValueError, match=r"^cookie ") as refused:
        over_http("GET", cookie=value, range="bytes=0-1")
    assert value not in str(refused.value)


def test_handler_reads_request_headers_in_any_case() -> None:
    """Those that were not sent are empty; those that never come are a mistake."""
    edge = edge_over(Transport(("x-http-cookie", "a=1"), ("x-http-method", "GET")))
    assert (edge.request_header("Cookie"), edge.request_header("Range")) == ("a=1", "")
    with pytest.raises(KeyError):
        edge.request_header("Authorization")


async def test_handler_sets_status_and_headers() -> None:
    """Names may be written as HTTP writes them."""
    transport = Transport()
    await edge_over(transport).respond(status=303, headers=[("Location", "/home")])
    assert transport.answer == Answer(status=303, headers=(("location", "/home"),))


async def test_caller_that_is_not_the_gateway_gets_the_first_piece() -> None:
    """Over plain gRPC nothing is asked; the length says how much there is."""
    transport = Transport()
    wanted = await edge_over(transport).deliver(length=10, etag='"v1"', piece_bytes=4)
    assert (wanted.start, wanted.stop, transport.answer.length) == (0, 4, 10)


async def test_head_wants_no_bytes() -> None:
    """Status, headers and length are those of GET."""
    transport = Transport(("x-http-method", "HEAD"))
    wanted = await edge_over(transport).deliver(
        length=10, etag='"v1"', headers=[("Vary", "Cookie")]
    )
    assert (wanted.start, wanted.stop) == (0, 0)
    assert (transport.answer.status, transport.answer.length) == (200, 10)
    assert transport.answer.header("vary") == "Cookie"


async def test_not_modified_repeats_what_caches_need() -> None:
    """And nothing else of what belongs to the bytes."""
    transport = Transport(("x-http-method", "GET"), ("x-http-if-none-match", '"v1"'))
    headers = [("Cache-Control", "private"), ("Content-Disposition", "inline")]
    await edge_over(transport).deliver(length=10, etag='"v1"', headers=headers)
    expected = (("etag", '"v1"'), ("cache-control", "private"))
    assert transport.answer == Answer(status=304, headers=expected)
