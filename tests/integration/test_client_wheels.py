"""Another team's program, in an environment that has the client's wheels and no platform."""

from __future__ import annotations

import asyncio
import subprocess
import zipfile
from pathlib import Path

import pytest

from cli import wheels
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT

SERVER_ONLY = (
    "alembic",
    "centers",
    "cli",
    "gateway",
    "httptools",
    "joserfc",
    "mesh.app",
    "mesh.server",
    "mesh.storage",
    "observability",
    "protovalidate",
    "sequencer.app",
    "sqlalchemy",
    "structlog",
    "uvloop",
)

CALLS = """
import asyncio
import sys

import grpc

from engine.sequencer.v1 import sequencer_pb2, sequencer_pb2_grpc
from mesh import Channel, ErrorView, MeshError, blocking_channel
from mesh.channel import Endpoint, bearer
from sequencer.sdk import GrpcRangeSource, Sequencer

address, token, *lanes = sys.argv[1:]
name = "shop.order"
proofs = bearer(token)

with blocking_channel(address, proofs) as channel:
    stub = sequencer_pb2_grpc.SequencerServiceStub(channel)
    wanted = sequencer_pb2.Sequence(name=name, start=1000)
    created = stub.CreateSequence(sequencer_pb2.CreateSequenceRequest(sequence=wanted))
    print("created", created.sequence.name, created.sequence.next_value)
    try:
        stub.GetSequence(sequencer_pb2.GetSequenceRequest(name="shop.nothing"))
    except grpc.RpcError as error:
        print("blocking", ErrorView.from_rpc(error).reason)

with blocking_channel(Endpoint("unix:/nobody.is.here", tuple(lanes)), proofs) as channel:
    stub = sequencer_pb2_grpc.SequencerServiceStub(channel)
    print("lane", stub.GetSequence(sequencer_pb2.GetSequenceRequest(name=name)).sequence.start)


async def main() -> None:
    async with Channel("sequencer", lambda: [address], proofs) as channel:
        stub = sequencer_pb2_grpc.SequencerServiceStub(channel)
        answer = await stub.GetSequence(sequencer_pb2.GetSequenceRequest(name=name))
        print("async", answer.sequence.start)
        try:
            await stub.GetSequence(sequencer_pb2.GetSequenceRequest(name="shop.nothing"))
        except grpc.aio.AioRpcError as error:
            print("async", ErrorView.from_rpc(error).reason)


asyncio.run(main())

with Sequencer(GrpcRangeSource(address, proofs)) as sequencer:
    orders = sequencer.sequence(name)
    print("sdk", orders.next_id(), orders.next_id(), sum(map(len, orders.next_ids(5))))
"""

IMPORTS = """
import importlib
import sys

for name in sys.argv[1:]:
    importlib.import_module(name)
"""

LOOK = """
import importlib.util
import sys

def found(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False

print(*filter(found, sys.argv[1:]))
"""


def run(python: Path, script: str, *arguments: str) -> str:
    command = [str(python), "-I", "-W", "error", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def module_names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        files = [name for name in archive.namelist() if name.endswith(".py")]
    return [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files]


async def test_a_client_calls_and_takes_ids(mesh: Mesh, client_python: Path) -> None:
    """Stubs work over both channels, errors can be read, and the SDK hands out ids."""
    app = await mesh.start(BLUEPRINT)
    rights = {"sequencer.read", "sequencer.create", "sequencer.lease"}
    token = mesh.token("shop", permissions=rights)

    process = await asyncio.create_subprocess_exec(
        client_python,
        *("-I", "-W", "error", "-c", CALLS, app.entry.address, token, *app.entry.lanes),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await process.communicate()

    assert process.returncode == 0, complaints.decode()
    assert said.decode().splitlines() == [
        "created shop.order 1000",
        "blocking SEQUENCE_NOT_FOUND",
        "lane 1000",
        "async 1000",
        "async SEQUENCE_NOT_FOUND",
        "sdk 1000 1001 5",
    ]


@pytest.mark.slow
def test_every_module_of_the_wheels_can_be_imported(client_python: Path, tmp_path: Path) -> None:
    """No shipped module needs one that is not shipped, nor a library that is not required."""
    modules = [name for wheel in wheels.build(tmp_path) for name in module_names(wheel)]

    for name in modules:
        run(client_python, IMPORTS, name)


def test_the_environment_has_no_server(client_python: Path) -> None:
    """The environment of these tests is what another team has: no platform, no driver."""
    assert run(client_python, LOOK, "mesh", "grpc", *SERVER_ONLY).split() == ["mesh", "grpc"]


def test_messages_and_stubs_import_without_the_field_rules_engine(client_python: Path) -> None:
    """The rules stand in the descriptors; only a server checks them."""
    script = (
        "import engine.customer.v1.customer_pb2_grpc, sys; print('protovalidate' in sys.modules)"
    )

    assert run(client_python, script).strip() == "False"
