"""Framing: which bytes are requests, and which are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import EdgeText, GatewayReason
from gateway.http import Request, RequestReader
from mesh.errors import MeshError

HOST = b"Host: engine.example\r\n"
POST = b"POST /v1/echo HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def reader(max_head: int = 4096) -> RequestReader:
    return RequestReader(max_head=max_head, max_body=1024)


def drain(under_test: RequestReader, data: bytes) -> Iterator[Request]:
    """The requests that `data` completes."""
    while data:
        request, data = under_test.read(data)
        if request is not None:
            yield request


def read_all(data: bytes, size: int = 1 << 20) -> list[Request]:
    """All requests in `data`, fed in pieces of `size` bytes."""
    under_test = reader()
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    return list(drain_all(under_test, pieces))


def refusal(data: bytes, max_head: int = 4096) -> tuple[GatewayReason, int]:
    """How `data` is refused, and how many requests came before."""
    requests = drain(reader(max_head), data)
    before: list[Request] = []
    with pytest.raises(MeshError) as caught:
        before.extend(requests)
    assert isinstance(caught.value.reason, GatewayReason)
    return caught.value.reason, len(before)


def refused_in_the_end(under_test: RequestReader, piece: bytes) -> GatewayReason:
    """How the reader refuses `piece` when it comes a hundred times."""
    with pytest.raises(MeshError) as caught:
        list(drain_all(under_test, [piece] * 100))
    assert isinstance(caught.value.reason, GatewayReason)
    return caught.value.reason


def drain_all(under_test: RequestReader, pieces: Iterable[bytes]) -> Iterator[Request]:
    for piece in pieces:
        yield from drain(under_test, piece)


def test_a_request_has_its_parts() -> None:
    """Method, path, query, headers and body arrive as they were sent."""
    data = (
        b"PUT /v1/a%2Fb?x=1&y=%20 HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-one: 2\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    )
    (request,) = read_all(data)
    assert (request.method, request.path, request.query) == ("PUT", "/v1/a%2Fb", "x=1&y=%20")
    assert request.header(b"x-one") == "1, 2"
    assert request.body == b"abc"
    assert request.keep_alive


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
    ],
)
def test_connection_header_and_version_decide_about_keep_alive(
    head: bytes, keep_alive: bool
) -> None:
    """Only HTTP/1.1 without "close" goes on."""
    assert read_all(head)[0].keep_alive is keep_alive


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"http://h/a?q=1", "/a"),
        (b"http://h", "/"),
        (b"https://h/a/b", "/a/b"),
        (b"*", "*"),
        (b"//a", "//a"),
    ],
)
def test_absolute_targets_are_reduced_to_their_path(target: bytes, path: str) -> None:
    """A server must take the absolute form, which proxies send."""
    assert read_all(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")[0].path == path


SMUGGLING = {
    "both framings": (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "both framings, reversed": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
        400,
    ),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    "list of lengths": (POST + b"Content-Length: 1, 1\r\n\r\nx", 400),
    "signed length": (POST + b"Content-Length: +1\r\n\r\nx", 400),
    "hexadecimal length": (POST + b"Content-Length: 0x1\r\n\r\nx", 400),
    "empty length": (POST + b"Content-Length:\r\n\r\n", 400),
    "coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "coding after chunked": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n", 400),
    "unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "chunked twice": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "chunked in 1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "two equal hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "two hosts in one": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    "line feeds alone": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    "space before colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "header without colon": (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    "nameless header": (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    "carriage return in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    "chunk ended by a line feed": (CHUNKED + b"1\nx\r\n0\r\n\r\n", 400),
    "chunk size too large": (CHUNKED + b"fffffffffffffffff\r\nx", 400),
    "chunk size with a space": (CHUNKED + b"1 \r\nx\r\n0\r\n\r\n", 400),
    "length in a trailer": (CHUNKED + b"0\r\nContent-Length: 4\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "HTTP/0.9 by name": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 505),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "lower-case method": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "relative target": (b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "bytes beyond ASCII in the target": ("GET /客户 HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 400),
    "TLS": (bytes.fromhex("1603010200010001fc0303") + bytes(20), 400),
    "unknown expectation": (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx", 417),
}


@pytest.mark.parametrize(("data", "status"), SMUGGLING.values(), ids=SMUGGLING)
def test_ambiguous_and_unserved_requests_are_refused(data: bytes, status: int) -> None:
    """Nothing that two parsers could frame in two ways gets through."""
    reason, before = refusal(data + b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
    assert isinstance(reason.text, EdgeText)
    assert reason.text.http_status == status
    assert before == 0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_pipelined_requests_are_told_apart(size: int) -> None:
    """Several requests in one stream come out one by one, however the stream is cut."""
    data = (
        b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\n"
        + b"POST /2 HTTP/1.1\r\n" + HOST + b"Content-Length: 8\r\n\r\n\r\n\r\n\r\n\r\n"
        + b"POST /3 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"4\r\n\r\n\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: dropped\r\n\r\n"
        + b"\r\n"  # an empty line before a request is let pass
        + b"HEAD /4 HTTP/1.1\r\n" + HOST + b"\r\n"
    )  # fmt: skip
    requests = read_all(data, size)
    assert [r.path for r in requests] == ["/1", "/2", "/3", "/4"]
    assert [r.body for r in requests] == [b"", b"\r\n" * 4, b"\r\n\r\nabc", b""]
    assert all(r.header(b"trailer") == "" for r in requests)


def test_one_read_takes_one_request_at_most() -> None:
    """Requests behind the first stay bytes, so that a pipeline can be bounded."""
    one = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    request, rest = reader().read(one * 3)
    assert request is not None
    assert rest == one * 2


bodies = st.binary(max_size=40)


@given(bodies=st.lists(bodies, min_size=1, max_size=4), cuts=st.data())
def test_chunked_bodies_survive_any_split(bodies: list[bytes], cuts: st.DataObject) -> None:
    """However a chunked body is chunked, and the stream cut, the body is the same."""
    wire = b""
    for body in bodies:
        wire += CHUNKED
        position = 0
        while position < len(body):
            size = cuts.draw(st.integers(1, len(body) - position))
            wire += b"%x\r\n%b\r\n" % (size, body[position : position + size])
            position += size
        wire += b"0\r\n\r\n"
    assert [r.body for r in read_all(wire, cuts.draw(st.integers(1, 60)))] == bodies


def test_chunked_body_cut_at_every_byte() -> None:
    """No position of a cut loses or invents anything."""
    wire = (
        CHUNKED
        + b"3\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n"
        + b"GET /2 HTTP/1.1\r\n"
        + HOST
        + b"\r\n"
    )
    for cut in range(len(wire)):
        requests = drain_all(reader(), (wire[:cut], wire[cut:]))
        assert [request.body for request in requests] == [b"abc\r\n\r\n", b""], cut


def test_head_within_its_bound_is_read_and_above_it_refused() -> None:
    """The bound counts every byte of the head, whatever the parser buffers."""
    head = b"GET / HTTP/1.1\r\n" + HOST + b"X: %b\r\n\r\n"
    room = 4096 - len(head % b"")
    assert len(read_all(head % (b"a" * room))) == 1
    assert refusal(head % (b"a" * (room + 1)))[0] is GatewayReason.HEADERS_TOO_LARGE


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"GET / HTTP/1.1\r\nHost: a\r\nX:",
        CHUNKED + b"0\r\nT: ",
    ],
    ids=["value", "white space", "trailer"],
)
def test_endless_header_is_refused_before_it_ends(beginning: bytes) -> None:
    """A header that never ends is not collected for ever."""
    under_test = reader()
    under_test.read(beginning)
    filler = b" " if beginning.endswith(b":") else b"a"
    assert refused_in_the_end(under_test, filler * 100) is GatewayReason.HEADERS_TOO_LARGE


def test_endless_chunk_extension_is_refused() -> None:
    """What stands beside the data of a chunk is bounded too."""
    under_test = reader()
    under_test.read(CHUNKED + b"1;a=")
    assert refused_in_the_end(under_test, b"a" * 100) is GatewayReason.HEADERS_TOO_LARGE


def test_too_many_headers_are_refused() -> None:
    """The number of headers is bounded, not their bytes alone."""
    head = b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 100 + b"\r\n"
    assert refusal(head)[0] is GatewayReason.HEADERS_TOO_LARGE


@pytest.mark.parametrize("max_head", [4096, 64 << 10])
def test_long_url_is_told_from_a_long_head(max_head: int) -> None:
    """A URL above its bound answers 414, whether or not it also breaks the head's."""
    data = b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    expected = GatewayReason.URL_TOO_LONG if max_head > 8192 else GatewayReason.HEADERS_TOO_LARGE
    assert refusal(data, max_head=max_head)[0] is expected


def test_announced_body_above_the_bound_is_refused_at_once() -> None:
    """Not one byte of it is waited for."""
    head = POST + b"Content-Length: 1025\r\n\r\n"
    assert refusal(head)[0] is GatewayReason.BODY_TOO_LARGE
    assert len(read_all(POST + b"Content-Length: 1024\r\n\r\n" + b"x" * 1024)) == 1


def test_chunked_body_above_the_bound_is_refused() -> None:
    """Chunks are counted together."""
    data = CHUNKED + b"200\r\n" + b"x" * 512 + b"\r\n"
    assert refusal(data + b"201\r\n" + b"x" * 513 + b"\r\n")[0] is GatewayReason.BODY_TOO_LARGE


UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"\r\n", b""),
        (b"Content-Length: 3\r\n\r\nabc", b"abc"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
    ],
    ids=["no body", "length", "chunked"],
)
def test_upgrade_is_ignored_and_its_body_read(framing: bytes, body: bytes, size: int) -> None:
    """A client that offers another protocol gets HTTP/1.1, and no byte is taken for another."""
    data = POST + UPGRADE + framing + b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"
    first, second = read_all(data, size)
    assert (first.method, first.path, first.body) == ("POST", "/v1/echo", body)
    assert second.path == "/next"


def test_continue_is_wanted_once_and_only_before_a_body() -> None:
    """The client waits after its head until the body begins."""
    under_test = reader()
    under_test.read(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert under_test.take_continue()
    assert not under_test.take_continue()
    impatient = reader()
    impatient.read(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\na")
    assert not impatient.take_continue()


def test_received_counts_the_request_under_way() -> None:
    """Between requests it is zero, so that an idle connection can be told from a slow one."""
    under_test = reader()
    assert under_test.received == 0
    under_test.read(POST)
    assert under_test.received == len(POST)
    under_test.read(b"\r\n")
    assert under_test.received == 0


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_for_but_never_breaks_the_reader(noise: bytes) -> None:
    """Whatever arrives, the only exception is a refusal."""
    with suppress(MeshError):
        list(drain(reader(), noise))
