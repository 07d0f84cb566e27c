"""The program under test of the conformance runner: carries its cases to a gateway, over HTTP.

It speaks the runner's protocol on standard input and output: each message after its length
in four bytes. Cases in which there is no JSON are skipped; so are those that ask to ignore
unknown fields, unless it is started with `--lax`: then they go to lax routes.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx
import uvloop
from google.api import httpbody_pb2
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.app import BLUEPRINT
from mesh.testing import Mesh
from tests.foreign import Answer, foreign, pool_of

SERVICE: Final = "conformance.json.v1.JsonService"
ROUTES: Final = {
    f"protobuf_test_messages.proto{n}.TestAllTypesProto{n}": f"proto{n}" for n in (2, 3)
}
RULES: Final = Path(__file__).parent / "rules"
PROTOBUF, JSON = 1, 2
"""`conformance.WireFormat`."""
IGNORE_UNKNOWN: Final = 3
"""`conformance.TestCategory`."""


def answers() -> dict[str, Answer]:
    """The methods of the service: it never looks into the messages."""

    def read(request: bytes) -> bytes:
        return bytes(httpbody_pb2.HttpBody(data=request).SerializeToString())

    def write(request: bytes) -> bytes:
        return bytes(httpbody_pb2.HttpBody.FromString(request).data)

    methods: dict[str, Answer] = {"Read": read, "Write": write, "Echo": bytes}
    return {
        f"/{SERVICE}/{name}Proto{n}": answer for name, answer in methods.items() for n in (2, 3)
    }


class Testee:
    """Answers the runner's requests; the gateway is started by the first that needs it."""

    def __init__(self, pool: DescriptorPool, *, lax: bool) -> None:
        def message(name: str) -> Any:
            return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

        self.request = message("conformance.ConformanceRequest")
        self._response = message("conformance.ConformanceResponse")
        self._pool = pool
        self._lax = lax
        self._stack = AsyncExitStack()
        self._http: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Stop the gateway."""
        await self._stack.aclose()

    async def answer(self, case: Any) -> Any:
        """The response to a request."""
        given, wanted = case.WhichOneof("payload"), case.requested_output_format
        is_json = given == "json_payload" or wanted == JSON
        ignoring = case.test_category == IGNORE_UNKNOWN
        formats = given in {"json_payload", "protobuf_payload"} and wanted in {PROTOBUF, JSON}
        if case.message_type not in ROUTES or not (is_json and formats):
            return self._response(skipped="not a case of JSON")
        if ignoring and not self._lax:
            return self._response(skipped="strict routes refuse what is unknown")
        verb = "write" if given == "protobuf_payload" else "read" if wanted == PROTOBUF else "echo"
        path = f"/{'lax' if ignoring else 'strict'}/{ROUTES[case.message_type]}:{verb}"
        if given == "protobuf_payload":
            return await self._ask(path, case.protobuf_payload, "application/x-protobuf", wanted)
        body = case.json_payload.encode("utf-8", "surrogatepass")
        return await self._ask(path, body, "application/json", wanted)

    async def _ask(self, path: str, body: bytes, content_type: str, wanted: int) -> Any:
        http = self._http or await self._start()
        response = await http.post(path, content=body, headers={"content-type": content_type})
        if response.status_code == httpx.codes.OK:
            if wanted == PROTOBUF:
                return self._response(protobuf_payload=response.content)
            return self._response(json_payload=response.text)
        problem = response.json()
        if response.status_code == httpx.codes.BAD_REQUEST:
            return self._response(parse_error=problem["detail"])
        if problem["reason"] == "INTERNAL":
            return self._response(serialize_error=problem["title"])
        return self._response(runtime_error=response.text)

    async def _start(self) -> httpx.AsyncClient:
        enter = self._stack.enter_async_context
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
        limits = {"sign_on_rate_per_s": 1e6, "telemetry": False}
        mesh = await enter(Mesh(Path(folder), gateway_rules=str(RULES), **limits))
        await enter(foreign(mesh, "json", self._pool, (SERVICE,), answers()))
        gateway = await mesh.start(BLUEPRINT)
        address = f"http://{gateway.entry.http}"
        self._http = await enter(httpx.AsyncClient(base_url=address, timeout=30))
        return self._http


async def serve(testee: Testee, given: BinaryIO, taken: BinaryIO) -> None:
    """Answer requests until there are no more."""
    try:
        while len(head := await asyncio.to_thread(given.read, 4)) == 4:
            (length,) = struct.unpack("<I", head)
            case = testee.request.FromString(await asyncio.to_thread(given.read, length))
            answer = (await testee.answer(case)).SerializeToString()
            taken.write(struct.pack("<I", len(answer)) + answer)
            taken.flush()
    finally:
        await testee.close()


def main(contract: str, *options: str) -> None:
    """Answer the runner; what is logged goes to standard error."""
    with os.fdopen(os.dup(1), "wb") as taken:
        os.dup2(2, 1)
        files = descriptor_pb2.FileDescriptorSet.FromString(Path(contract).read_bytes())
        testee = Testee(pool_of(files), lax="--lax" in options)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(testee, sys.stdin.buffer, taken))


if __name__ == "__main__":
    main(*sys.argv[1:])
