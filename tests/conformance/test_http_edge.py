"""Status, headers, conditions and ranges through a real gateway, as RFC 9110 has them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google.api.annotations_pb2
import grpc_tools
import httpx
import pytest
import pytest_asyncio
from google.api import httpbody_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from gateway.app import BLUEPRINT
from mesh.edge import HttpEdge
from mesh.errors import MeshError, MeshReason
from mesh.service import Blueprint, Service, Servicer
from mesh.testing import Mesh

pytestmark = pytest.mark.asyncio(loop_scope="module")

HERE = Path(__file__).parent
PACKAGE = "gateway.testing.edge.v1"
DOCUMENT = "/v1/documents/report"
PIECE, PIECES = 64 << 10, 5
CONTENT = bytes(i * 7 % 251 for i in range(PIECE * PIECES - 1000))
LENGTH = len(CONTENT)
ETAG = '"v1"'
LARGE = 15 << 20
"""Near the most that one message may hold."""


@dataclass
class Documents:
    """Serves documents; each does one thing wrong, or nothing."""

    calls: list[dict[str, Any]] = field(default_factory=list)

    async def GetDocument(self, request: Any, context: Any) -> Any:
        edge = HttpEdge(context)
        self.calls.append(dict(context.invocation_metadata()))
        if request.name == "large":
            await edge.deliver(length=LARGE, etag='"large"', piece_bytes=LARGE)
            return httpbody_pb2.HttpBody(content_type="video/mp4", data=bytes(LARGE))
        if request.name == "changing":
            tag = f'"v{len(self.calls)}"'
            wanted = await edge.deliver(length=LENGTH, etag=tag, piece_bytes=PIECE)
        elif request.name == "recalled":
            if len(self.calls) > 2:
                raise MeshError(MeshReason.OUT_OF_SCOPE)
            wanted = await edge.deliver(length=LENGTH, etag=ETAG, piece_bytes=PIECE)
        else:
            wanted = await edge.deliver(
                length=LENGTH,
                etag=ETAG,
                headers=[
                    ("Content-Disposition", 'inline; filename="report.pdf"'),
                    ("Cache-Control", "private, max-age=60"),
                ],
                piece_bytes=PIECE,
            )
        data = CONTENT[wanted.start : wanted.stop]
        return httpbody_pb2.HttpBody(content_type="application/pdf", data=data)

    async def GetPlain(self, request: Any, context: Any) -> Any:
        self.calls.append(dict(context.invocation_metadata()))
        await HttpEdge(context).respond(status=201, headers=[("Set-Cookie", "a=1")])
        return httpbody_pb2.HttpBody(content_type="text/plain", data=b"plain")

    async def SignIn(self, request: Any, context: Any) -> Any:
        edge = HttpEdge(context)
        headers = [("Location", "/home"), ("Set-Cookie", "a=1; HttpOnly"), ("Set-Cookie", "b=2")]
        if request.user == "smuggler":
            headers = [("Location", "/\r\nset-cookie: stolen=1")]
        if request.user == "framer":
            await context.send_initial_metadata((("x-http-header-content-length", "5"),))
        else:
            await edge.respond(status=303, headers=headers)
        answer = message_factory.GetMessageClass(message("SignInResponse"))
        return answer(cookies=edge.request_header("Cookie"))


def message(name: str) -> Any:
    return descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.{name}")


def contract() -> Any:
    """The service of `edge.proto`, among the contracts of this process."""
    pool = descriptor_pool.Default()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "edge.binpb"
        includes = (
            HERE,
            HERE.parents[1] / "protos",
            Path(str(google.api.annotations_pb2.__file__)).parents[2],
            Path(str(grpc_tools.__file__)).parent / "_proto",
        )
        command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{path}" for path in includes)]
        subprocess.run([*command, f"--descriptor_set_out={target}", "edge.proto"], check=True)
        descriptors = FileDescriptorSet.FromString(target.read_bytes())
    pool.AddSerializedFile(descriptors.file[0].SerializeToString())
    return pool.FindServiceByName(f"{PACKAGE}.EdgeService")


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(documents: Documents) -> AsyncIterator[httpx.AsyncClient]:
    service = Service(servicers=[Servicer(descriptor=contract(), implementation=documents)])
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        async with Mesh(Path(folder), sign_on_rate_per_s=1000.0) as mesh:
            mesh.trust("gateway", BLUEPRINT.rights)
            await mesh.start(Blueprint(name="documents", build=lambda _: service))
            app = await mesh.start(BLUEPRINT)
            async with httpx.AsyncClient(base_url=f"http://{app.entry.http}") as http:
                yield http


@pytest.fixture(autouse=True)
def forget(documents: Documents) -> None:
    documents.calls.clear()


async def test_whole_document_comes_in_pieces(
    http: httpx.AsyncClient, documents: Documents
) -> None:
    """The client sees one body of known length, whatever a call may hold."""
    response = await http.get(DOCUMENT)
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["content-length"] == str(LENGTH)
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["etag"] == ETAG
    assert response.headers["content-disposition"] == 'inline; filename="report.pdf"'
    assert response.headers["cache-control"] == "private, max-age=60"
    assert len(documents.calls) == PIECES


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-99", range(100)),
        ("bytes=-100", range(LENGTH - 100, LENGTH)),
        ("bytes=100-", range(100, LENGTH)),
        (f"bytes={LENGTH - 1}-", range(LENGTH - 1, LENGTH)),
        (f"bytes=10-{LENGTH * 2}", range(10, LENGTH)),
        (f"bytes={PIECE - 1}-{PIECE}", range(PIECE - 1, PIECE + 1)),
        (f"bytes=5-{3 * PIECE}", range(5, 3 * PIECE + 1)),
        (f"bytes=-{LENGTH * 2}", range(LENGTH)),
    ],
)
async def test_range_is_answered_with_its_bytes(
    http: httpx.AsyncClient, header: str, wanted: range
) -> None:
    """206 says which bytes they are, and there are as many as it says."""
    response = await http.get(DOCUMENT, headers={"range": header})
    assert response.status_code == 206
    assert response.content == CONTENT[wanted.start : wanted.stop]
    said = f"bytes {wanted.start}-{wanted.stop - 1}/{LENGTH}"
    assert response.headers["content-range"] == said
    assert response.headers["content-length"] == str(len(wanted))


@pytest.mark.parametrize(
    "headers",
    [
        {"range": "bytes=0-9,20-29"},
        {"range": "bytes=9-0"},
        {"range": "lines=0-9"},
        {"range": "bytes=a-b"},
        {"range": "bytes=0-99", "if-range": '"v0"'},
        {"range": "bytes=0-99", "if-range": "Wed, 21 Oct 2026 07:28:00 GMT"},
        {"if-none-match": '"v0", W/"v2"'},
        {"if-match": '"v0", "v1"'},
    ],
    ids=["several", "backwards", "unit", "letters", "stale tag", "date", "changed", "same"],
)
async def test_what_is_no_single_range_is_answered_whole(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """A Range that is not honoured is ignored, and If-Range asks for all of what has changed."""
    response = await http.get(DOCUMENT, headers=headers)
    assert (response.status_code, response.content) == (200, CONTENT)
    assert "content-range" not in response.headers


async def test_range_of_what_has_not_changed_is_honoured(http: httpx.AsyncClient) -> None:
    """If-Range with the present tag lets the range stand."""
    headers = {"range": "bytes=0-99", "if-range": ETAG}
    response = await http.get(DOCUMENT, headers=headers)
    assert (response.status_code, response.content) == (206, CONTENT[:100])


@pytest.mark.parametrize("header", [f"bytes={LENGTH}-", "bytes=-0", f"bytes={10**30}-"])
async def test_range_beyond_the_end_says_where_the_end_is(
    http: httpx.AsyncClient, header: str
) -> None:
    """416 has the length, and explains itself as every error does."""
    response = await http.get(DOCUMENT, headers={"range": header, "accept-language": "zh-CN"})
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{LENGTH}"
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["reason"] == "RANGE_NOT_SATISFIABLE"
    assert response.json()["trace_id"] == response.headers["x-trace-id"]
    assert response.headers["content-language"] == "zh-CN"


@pytest.mark.parametrize("tags", [ETAG, 'W/"v1"', '"v0", "v1"', "*"])
async def test_what_the_client_has_is_not_sent_again(http: httpx.AsyncClient, tags: str) -> None:
    """304 has no body and no length, and the connection goes on behind it."""
    for _ in range(2):
        response = await http.get(DOCUMENT, headers={"if-none-match": tags, "range": "bytes=0-9"})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == ETAG
        assert response.headers["cache-control"] == "private, max-age=60"
        assert not {"content-length", "content-type"} & response.headers.keys()


async def test_reading_on_what_has_changed_is_refused(http: httpx.AsyncClient) -> None:
    """If-Match with another tag answers 412, with the present one."""
    response = await http.get(DOCUMENT, headers={"if-match": '"v0"'})
    assert response.status_code == 412
    assert response.headers["etag"] == ETAG
    assert response.json()["reason"] == "PRECONDITION_FAILED"


async def test_head_answers_headers_alone(http: httpx.AsyncClient, documents: Documents) -> None:
    """They are those of GET without the range; no bytes are read for them."""
    response = await http.head(DOCUMENT, headers={"range": "bytes=0-99"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(LENGTH)
    assert response.headers["content-type"] == "application/pdf"
    assert len(documents.calls) == 1
    assert (await http.get(DOCUMENT, headers={"range": "bytes=0-0"})).content == CONTENT[:1]


async def test_large_bodies_pass(http: httpx.AsyncClient, documents: Documents) -> None:
    """One message may be as large as gRPC lets it."""
    response = await http.get("/v1/documents/large")
    assert len(response.content) == LARGE
    assert response.headers["content-type"] == "video/mp4"
    assert len(documents.calls) == 1


@pytest.mark.parametrize("name", ["changing", "recalled"])
async def test_body_that_cannot_be_completed_is_cut_short(
    http: httpx.AsyncClient, name: str
) -> None:
    """A client never takes half of a document, or halves of two, for the whole."""
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(f"/v1/documents/{name}")


async def test_status_redirects_and_cookies_are_the_methods_own(http: httpx.AsyncClient) -> None:
    """303 with Location and two cookies beside a JSON body."""
    response = await http.post("/v1/sign-ins", json={"user": "rm001"}, headers={"cookie": "x=1"})
    assert response.status_code == 303
    assert response.headers["location"] == "/home"
    assert response.headers.get_list("set-cookie") == ["a=1; HttpOnly", "b=2"]
    assert response.json() == {"cookies": "x=1"}
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("user", ["smuggler", "framer"])
async def test_headers_that_may_not_be_set_are_an_incident(
    http: httpx.AsyncClient, user: str
) -> None:
    """A line break is refused in the service, a framing header in the gateway."""
    response = await http.post("/v1/sign-ins", json={"user": user})
    assert (response.status_code, response.json()["reason"]) == (500, "INTERNAL")
    assert "set-cookie" not in response.headers
    assert "stolen" not in response.text


async def test_method_without_the_option_neither_hears_nor_speaks(
    http: httpx.AsyncClient, documents: Documents
) -> None:
    """Conditions and cookies do not reach it, and its status and headers go nowhere."""
    headers = {"range": "bytes=0-0", "if-none-match": "*", "cookie": "a=1"}
    response = await http.get("/v1/plain/x", headers=headers)
    assert (response.status_code, response.content) == (200, b"plain")
    assert "set-cookie" not in response.headers
    assert not [key for key in documents.calls[0] if key.startswith("x-http-")]


@pytest.mark.parametrize(
    "headers",
    [{"cookie": "x" * 5000}, {"if-none-match": "é".encode("latin-1")}],
    ids=["too long", "not ASCII"],
)
async def test_headers_that_cannot_be_passed_on_are_refused(
    http: httpx.AsyncClient, headers: dict[str, Any]
) -> None:
    """The client is told which one."""
    response = await http.get(DOCUMENT, headers=headers)
    assert (response.status_code, response.json()["reason"]) == (400, "INVALID_HEADER")
    assert next(iter(headers)) in response.json()["detail"]
