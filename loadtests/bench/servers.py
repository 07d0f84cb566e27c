"""The servers that the suites measure: `python -m loadtests.bench.servers KIND`, one process each.

All answer the same customer from memory. `plain` is the peer: grpc.aio on uvloop with registered
methods and no interceptors. `stack` is the same servicer in a mesh service with the whole chain
and the gateway, in one process, and `edge` is the gateway's HTTP server alone.
It prints one JSON line when it serves and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop

import centers.customer.app
import gateway.app
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import policy_pb2
from gateway.http import Listener, Request, Response
from mesh import Blueprint, MeshError, MeshReason, Principal, Service, Servicer
from mesh.context import Scope
from mesh.testing import Mesh


async def _absent(_request: Any, _context: Any) -> Any:
    raise MeshError(MeshReason.UNKNOWN_METHOD)


PEER: Final = "grpc.aio on uvloop, no interceptors"
REQUEST: Final = customer_pb2.GetCustomerRequest(customer_id=7)
_KIB: Final = "k" * 1024


class Customers:
    """Answers every customer from memory, and pages of any size; other methods are absent."""

    def __getattr__(self, _method: str) -> Any:
        return _absent

    async def GetCustomer(self, request: Any, _context: Any) -> Any:  # noqa: N802
        customer = customer_pb2.Customer(
            customer_id=request.customer_id,
            tier=customer_pb2.TIER_AUM50,
            risk_grade=customer_pb2.RISK_GRADE_C3,
            owner_id=7,
            branch_id=1,
            has_wecom=True,
        )
        return customer_pb2.GetCustomerResponse(customer=customer)

    async def ListCustomers(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """No customers; a token of `page_size` KiB for the next page."""
        token = _KIB * request.page_size
        return customer_pb2.ListCustomersResponse(next_page_token=token)


async def _in_scope(principal: Principal, scope: Scope, row: Any) -> bool:  # noqa: ARG001
    return True


SERVICE = Service(
    servicers=[
        Servicer(
            descriptor=customer_pb2.DESCRIPTOR.services_by_name["CustomerService"],
            implementation=Customers(),
        )
    ],
    scope_resolver=_in_scope,
)


BLUEPRINT = Blueprint(
    name="customer",
    build=lambda _: SERVICE,
    migrations=centers.customer.app.BLUEPRINT.migrations,  # audited methods need a store
)


@contextmanager
def started(
    kind: str, *more: str, module: str = "loadtests.bench.servers"
) -> Iterator[dict[str, Any]]:
    """A server of `kind` in a child process; yields what it printed, and its `pid`."""
    command = [sys.executable, "-m", module, kind, *more]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as child:  # type: ignore[call-overload] # noqa: S603
        try:
            yield {**json.loads(child.stdout.readline()), "pid": child.pid}
        finally:
            child.stdin.close()
            child.wait(10)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, in seconds, of all its threads."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock of that process, see clock_gettime(2)


def collect_seldom() -> None:
    """Keep the garbage collector out of the figures; in every process alike."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


async def until_told(ready: dict[str, Any]) -> None:
    """Say where the server is, and serve until the parent has seen enough."""
    collect_seldom()
    print(json.dumps(ready), flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def _plain() -> None:
    server = grpc.aio.server()
    servicer: Any = Customers()
    customer_pb2_grpc.add_CustomerServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await until_told({"address": f"127.0.0.1:{port}"})
    await server.stop(None)


async def _stack() -> None:
    async with _mesh_of(rate_per_s=1e6, rate_burst=1_000_000) as mesh:
        await mesh.start(BLUEPRINT)
        app = await mesh.start(gateway.app.BLUEPRINT)
        await until_told({"address": app.entry.http, "token": _token(mesh)})


async def _edge() -> None:
    body = b'{"customerId":"7","tier":"TIER_AUM50","riskGrade":"RISK_GRADE_C3"}'

    async def answer(_: Request) -> Response:
        return Response(body=body)

    def refuse(_: Exception) -> Response:
        return Response(status=400)

    async with Listener(answer, refuse, host="127.0.0.1", port=0) as listener:
        await until_told({"address": listener.address})


@asynccontextmanager
async def _mesh_of(**settings: Any) -> AsyncIterator[Mesh]:
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder), **settings) as mesh:
            mesh.trust("gateway", gateway.app.BLUEPRINT.rights)
            yield mesh


def _token(mesh: Mesh) -> str:
    return mesh.token(
        "rm001",
        permissions=["customer.read"],
        data_scope=policy_pb2.SCOPE_OWN_BOOK,
        ttl_s=3600,
    )


KINDS = {"plain": _plain, "stack": _stack, "edge": _edge}

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(KINDS[sys.argv[1]]())
