"""Google's REST encoder as the client: what it encodes is what the backend gets.

Requests are drawn at random, encoded as Google's generated clients do, sent to the gateway
over HTTP, and compared with what the service behind it is asked.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import uvloop
from google.api_core import path_template, rest_helpers
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import given
from hypothesis import strategies as st

from gateway.app import BLUEPRINT
from mesh.testing import Mesh
from tests.conformance.messages import messages
from tests.foreign import described, foreign, pool_of

CONTRACTS: Final = Path(__file__).parents[1] / "unit" / "gateway"
PACKAGE: Final = "gateway.testing.v1"
SERVICE: Final = f"{PACKAGE}.ThingService"
POOL: Final = pool_of(described(CONTRACTS, "everything.proto"))
TRANSCODE: Final[Any] = path_template.transcode
FLATTEN: Final[Any] = rest_helpers.flatten_query_params


@dataclass(frozen=True, slots=True)
class Call:
    """A method with its rule, as Google's encoder is told it."""

    method: str
    http: str
    uri: str
    body: str | None = None

    @property
    def option(self) -> dict[str, str]:
        option = {"method": self.http, "uri": self.uri}
        return {**option, "body": self.body} if self.body else option


CALLS: Final = (
    Call("ListThings", "get", "/v1/shelves/{shelf_id}/things"),
    Call("GetThing", "get", "/v1/{shelf_id=shelves/*}/things/{thing.thing_id}"),
    Call("CreateThing", "post", "/v1/shelves/{shelf_id}/things", "thing"),
    Call("ReplaceThing", "put", "/v1/things/{thing_id}", "*"),
)


class Client:
    """Sends a message as Google's generated clients do."""

    def __init__(self, runner: asyncio.Runner, http: httpx.AsyncClient, asked: list[bytes]) -> None:
        self._runner = runner
        self._http = http
        self._asked = asked

    def carried(self, call: Call, message: Any) -> Any:
        """What the service is asked when the message is sent."""
        self._asked.clear()
        response = self._runner.run(self._send(call, message))
        assert response.status_code == 200, response.text
        (wire,) = self._asked
        return type(message).FromString(wire)

    async def _send(self, call: Call, message: Any) -> httpx.Response:
        found = TRANSCODE([call.option], message)
        query = _json(found["query_params"])
        query["$alt"] = "json;enum-encoding=int"
        flat = FLATTEN(query, strict=True)
        body = json.dumps(_json(found["body"])) if call.body else None
        headers = {"content-type": "application/json"}
        return await self._http.request(
            call.http, found["uri"], params=flat, content=body, headers=headers
        )


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        return b""

    methods = {f"/{SERVICE}/{call.method}": answer for call in CALLS}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        http = runner.run(_start(stack, folder, methods))
        yield Client(runner, http, asked)
        runner.run(stack.aclose())


async def _start(stack: AsyncExitStack, folder: Path, methods: Any) -> httpx.AsyncClient:
    mesh = await stack.enter_async_context(
        Mesh(folder, sign_on_rate_per_s=1e6, rate_per_s=1e6, rate_burst=1_000_000)
    )
    await stack.enter_async_context(foreign(mesh, "things", POOL, (SERVICE,), methods))
    gateway = await mesh.start(BLUEPRINT)
    token = mesh.token("rm001", permissions={"thing.read", "thing.write"})
    http = httpx.AsyncClient(
        base_url=f"http://{gateway.entry.http}",
        headers={"authorization": f"Bearer {token}"},
        timeout=30,
    )
    return await stack.enter_async_context(http)


def _json(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(
        message, use_integers_for_enums=True, descriptor_pool=POOL
    )
    return found


def requests(pool: DescriptorPool, call: Call) -> st.SearchStrategy[Any]:
    """Requests of a method that its rule can carry."""
    method = pool.FindServiceByName(SERVICE).methods_by_name[call.method]
    drawn = messages(method.input_type)
    # The encoder refuses a slash in one segment, the gateway what no two servers read alike.
    letters = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/")
    named = st.text(letters, min_size=1).filter(lambda text: text not in {".", ".."})
    return st.builds(lambda message, name: _carried(call, message, name), drawn, named)


def _carried(call: Call, message: Any, name: str) -> Any:
    """The message with its path variables set, without what a query has no place for."""
    if call.body is None:
        _clear(message)
    if call.body == "thing":  # a body is sent, be it empty
        message.thing.SetInParent()
    if call.method == "GetThing":
        message.shelf_id, message.thing.thing_id = f"shelves/{name}", name
    else:
        setattr(message, "thing_id" if call.method == "ReplaceThing" else "shelf_id", name)
    return message


def _clear(message: Any) -> None:
    """Maps are no query parameters for Google, and an empty message has no names to give."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.full_name.startswith("google."):
            continue
        if field.is_repeated:
            message.ClearField(field.name)
            continue
        _clear(value)
        if not value.ListFields():
            message.ClearField(field.name)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.method)
@given(data=st.data())
def test_backend_receives_the_message_that_the_client_had(
    client: Client, call: Call, data: st.DataObject
) -> None:
    """Path, query and body together, whatever is in them."""
    message = data.draw(requests(POOL, call))
    assert client.carried(call, message) == message
