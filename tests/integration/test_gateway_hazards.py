"""What other gateways get wrong, through the whole of ours to a service that echoes.

Each test says what was seen elsewhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest
import pytest_asyncio
from google.protobuf import any_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2, status_pb2

from gateway.app import BLUEPRINT
from mesh.testing import Mesh
from tests.foreign import Answer, Refused, described, foreign, pool_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTRACTS: Final = Path(__file__).parents[1] / "unit" / "gateway"
PACKAGE: Final = "gateway.testing.v1"
SERVICES: Final = tuple(f"{PACKAGE}.{name}Service" for name in ("Odd", "Thing", "Upload"))
LAX: Final = f"""
http:
  rules:
  - selector: {PACKAGE}.ThingService.ListThings
    get: /lax/{{shelf_id}}
    lax: true
  - selector: {PACKAGE}.ThingService.ReplaceThing
    put: /lax/{{thing_id}}/all
    body: "*"
    lax: true
"""
JSON: Final = {"content-type": "application/json"}


@dataclass
class Echo:
    """Remembers what it was asked, and answers what it is told to."""

    pool: DescriptorPool
    asked: list[bytes] = field(default_factory=list)
    answer: bytes | Exception = b""

    def methods(self) -> dict[str, Answer]:
        return {
            f"/{service}/{method.name}": self._answer
            for service in SERVICES
            for method in self.pool.FindServiceByName(service).methods
        }

    def message(self, name: str, wire: bytes = b"", **fields: Any) -> Any:
        found = message_factory.GetMessageClass(
            self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        )
        return found.FromString(wire) if wire else found(**fields)

    def _answer(self, request: bytes) -> bytes:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Edge:
    """A gateway with the service behind it, and a client."""

    http: httpx.AsyncClient
    echo: Echo

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        self.echo.asked.clear()
        return await self.http.request(method, path, **options)

    async def refused(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The problem of a request that never reaches the service."""
        response = await self.ask(method, path, **options)
        assert response.status_code == 400, response.text
        assert self.echo.asked == []
        problem: dict[str, Any] = response.json()
        return problem


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole() -> AsyncIterator[Edge]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        rules = folder / "rules"
        rules.mkdir()
        (rules / "lax.yaml").write_text(LAX)
        pool = pool_of(described(CONTRACTS, "everything.proto"))
        echo = Echo(pool)
        mesh = await stack.enter_async_context(
            Mesh(folder, gateway_rules=str(rules), sign_on_rate_per_s=1000.0)
        )
        await stack.enter_async_context(foreign(mesh, "things", pool, SERVICES, echo.methods()))
        gateway = await mesh.start(BLUEPRINT)
        token = mesh.token("rm001", permissions={"thing.read", "thing.write"})
        http = httpx.AsyncClient(
            base_url=f"http://{gateway.entry.http}", headers={"authorization": f"Bearer {token}"}
        )
        yield Edge(await stack.enter_async_context(http), echo)


@pytest.fixture
def edge(whole: Edge) -> Edge:
    whole.echo.answer = b""
    return whole


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/shelves/mine/things?shelf_id=other", None),
        ("GET", "/v1/shelves/mine/things?shelfId=other", None),
        ("GET", "/v1/things/mine?thing.thing_id=other", None),
        ("PUT", "/v1/things/mine", {"thingId": "other"}),
        ("PUT", "/v1/things/mine", {"thing_id": "other"}),
        ("POST", "/v1/shelves/mine/uploads?spot.x=1", None),
    ],
)
async def test_field_bound_by_the_path_is_never_overridden(
    edge: Edge, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """Elsewhere `?account_id=OTHER` reaches the backend: authorisation by URL is bypassed."""
    options = {"json": body} if body else {}
    assert (await edge.refused(method, path, **options))["reason"] == "CONFLICTING_FIELD"


async def test_error_detail_of_unknown_type_is_dropped_and_the_error_kept(edge: Edge) -> None:
    """Elsewhere it wipes the whole error."""
    unknown = any_pb2.Any(type_url="type.googleapis.com/never.Heard", value=b"\xff\xff")
    known = any_pb2.Any()
    known.Pack(error_details_pb2.ErrorInfo(reason="SHELF_IS_FULL", domain="things"))
    status = status_pb2.Status(code=9, message="The shelf is full", details=[unknown, known])
    edge.echo.answer = Refused(status)
    response = await edge.ask("GET", "/v1/things:count")
    assert response.status_code == 400
    problem = response.json()
    assert (problem["reason"], problem["detail"]) == ("SHELF_IS_FULL", "The shelf is full")


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("PUT", "/v1/things/1", {"nothing": 1}, "UNKNOWN_FIELD"),
        ("PUT", "/v1/things/1", {"color": "PINK"}, "INVALID_FIELD"),
        ("GET", "/v1/shelves/s/things?nothing=1", None, "UNKNOWN_FIELD"),
        ("GET", "/v1/shelves/s/things?color=PINK", None, "INVALID_FIELD"),
    ],
)
async def test_what_is_unknown_is_refused(
    edge: Edge, method: str, path: str, body: Any, reason: str
) -> None:
    """Elsewhere it passes in silence, or answers 503 or 500."""
    options = {"json": body} if body else {}
    assert (await edge.refused(method, path, **options))["reason"] == reason


async def test_what_is_unknown_is_left_out_by_a_lax_route(edge: Edge) -> None:
    """The rest arrives."""
    assert (await edge.ask("GET", "/lax/s?nothing=1&color=PINK&page_size=3")).status_code == 200
    asked = edge.echo.message("SearchRequest", edge.echo.asked[0])
    assert asked == edge.echo.message("SearchRequest", shelf_id="s", page_size=3)
    body = {"title": "x", "color": "PINK", "nothing": {"a": 1}}
    assert (await edge.ask("PUT", "/lax/7/all", json=body)).status_code == 200
    asked = edge.echo.message("Thing", edge.echo.asked[0])
    assert asked == edge.echo.message("Thing", thing_id="7", title="x")


@pytest.mark.parametrize(
    ("entry", "labels"),
    [(b"", {"": ""}), (b"\x0a\x01a", {"a": ""}), (b"\x12\x01x", {"": "x"})],
    ids=["empty", "no value", "no key"],
)
async def test_map_entry_without_key_or_value_has_the_default(
    edge: Edge, entry: bytes, labels: dict[str, str]
) -> None:
    """Elsewhere these seven bytes crash the gateway."""
    edge.echo.answer = b"\x3a" + bytes([len(entry)]) + entry
    response = await edge.ask("PUT", "/v1/things/1", json={})
    assert response.json() == {"labels": labels}


async def test_integers_stay_what_they_are(edge: Edge) -> None:
    """Elsewhere those of 64 bits become floats, and 1 becomes 1.0."""
    answer = edge.echo.message("ThingResponse", count=2**63 - 1, things=[{"part": {"size": 1}}])
    edge.echo.answer = answer.SerializeToString()
    assert (await edge.ask("GET", "/v1/things:count")).content == b'"9223372036854775807"'
    listed = await edge.ask("GET", "/v1/shelves/s/things?owner=9007199254740993&page_size=1.0")
    assert listed.content == b'[{"part":{"size":1}}]'
    asked = edge.echo.message("SearchRequest", edge.echo.asked[0])
    assert (asked.owner, asked.page_size) == (2**53 + 1, 1)


async def test_one_bad_rule_does_not_refuse_the_others(edge: Edge) -> None:
    """Elsewhere it refuses the whole configuration."""
    assert (await edge.ask("GET", "/v1/odd")).status_code == 200
    assert (await edge.ask("GET", "/v1/odd/x")).status_code == 404


async def test_unknown_path_and_wrong_method_are_told_apart(edge: Edge) -> None:
    """Elsewhere they answer 503 or 501."""
    assert (await edge.ask("GET", "/v1/nowhere")).status_code == 404
    response = await edge.ask("DELETE", "/v1/things/1")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PATCH, PUT"


async def test_nested_repeated_and_empty_lists_arrive_and_come_back(edge: Edge) -> None:
    """Elsewhere they are dropped, or what is not set is printed."""
    thing = {"thingId": "1", "tags": ["", "a"], "part": {"tags": ["x", "y"]}, "labels": {"a": ""}}
    sent = {**thing, "due": None, "part": {**thing["part"], "colors": {}}, "etag": ""}  # type: ignore[dict-item]
    wire = edge.echo.message(
        "Thing", thing_id="1", tags=["", "a"], part={"tags": ["x", "y"]}, labels={"a": ""}
    )
    edge.echo.answer = wire.SerializeToString()
    response = await edge.ask("PUT", "/v1/things/1", content=orjson.dumps(sent), headers=JSON)
    assert edge.echo.message("Thing", edge.echo.asked[0]) == wire
    assert response.json() == thing


async def test_file_goes_up_as_it_is(edge: Edge) -> None:
    """Bytes of any media type, up to the bound of all bodies."""
    headers = {"content-type": "image/png"}
    data = bytes(range(256)) * 100
    response = await edge.ask("POST", "/v1/uploads/7", content=data, headers=headers)
    assert response.status_code == 200
    asked = edge.echo.message("Upload", edge.echo.asked[0])
    assert (asked.upload_id, asked.file.content_type, asked.file.data) == ("7", "image/png", data)
    too_long = await edge.ask("POST", "/v1/uploads/7", content=bytes(5 << 20), headers=headers)
    assert too_long.status_code == 413
