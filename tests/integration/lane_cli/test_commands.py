"""`engine lane tap` and `engine lane list` against a running service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from typing import Any

from cli.names import OPERATOR
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import lane_pb2 as pb
from engine.mesh.v1.lane_pb2_grpc import LaneServiceStub
from mesh.app import App
from mesh.testing import Mesh
from tests.integration.conftest import ENGINE
from tests.integration.lane_cli.conftest import Engine, blueprint, calling, refusal


async def test_tap_prints_a_line_for_each_frame(engine: Engine, customers: Any) -> None:
    """In pipes with tabs; a call with its metadata, a reply with how long it took."""
    async with calling(customers):
        result = await engine("tap", "customer", "--method", "GetCustomer", "--count", "4")
    assert result.exit_code == 0, result.output
    assert "tapping customer" in result.stderr
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert len(lines) == 4
    call = next(line for line in lines if line[4] == "CALL")
    reply = next(line for line in lines if line[4] == "REPLY")
    assert (call[2], call[3], call[6]) == ("gateway", "→", "CustomerService/GetCustomer")
    assert '{"customerId":"7"}' in call[8]
    assert "authorization=***" in call[8]
    assert "x-engine-purpose=service" in call[8]
    assert reply[3] == "←"
    assert reply[8].startswith("after ")
    assert '{"customer":{"customerId":"7"}}' in reply[8]


async def test_tap_prints_json_for_programs(engine: Engine, customers: Any) -> None:
    """An object a line, with the payload as an object in it; the caller chooses frames too."""
    options = ("--json", "--caller", "gateway", "--count", "3")
    async with calling(customers):
        result = await engine("tap", str(os.getpid()), *options)
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == 3
    assert {frame["caller"] for frame in found} == {"gateway"}
    call = next(frame for frame in found if frame["kind"] == "CALL")
    assert call["payload"] == {"customerId": "7"}
    assert call["direction"] == "in"
    assert ["authorization", "***"] in call["metadata"]


async def test_tap_ends_after_some_seconds(engine: Engine, served: App) -> None:
    """Also when nothing passes; it says that nobody is connected."""
    result = await engine("tap", "customer", "--seconds", "0.5")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "no lanes yet" in result.stderr


async def test_ctrl_c_ends_a_tap_without_noise(mesh: Mesh, customers: Any) -> None:
    """And the process shows its lanes to nobody any more."""
    process = await asyncio.create_subprocess_exec(
        *(str(ENGINE), "lane", "tap", "customer"),
        env={**os.environ, "ENGINE_VAR": str(mesh.settings.var)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    async with calling(customers):
        assert await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, noise = await process.communicate()
    assert process.returncode == 0
    assert noise.count(b"\n") == 1
    assert b"tapping customer" in noise


async def test_list_shows_who_is_connected(engine: Engine, customers: Any) -> None:
    """Service, process, caller and its program, carrier, calls, bytes, state."""
    await customers.GetCustomer(customer_pb2.GetCustomerRequest(customer_id=7))
    result = await engine("list", "customer")
    assert result.exit_code == 0, result.output
    head, *lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert head[0] == "Service"
    (row,) = [line for line in lines if line[3] == "gateway"]
    pid = str(os.getpid())
    assert row[:2] == ["customer", pid]
    assert row[4:9] == [f"pid {pid}", "unix:", "unix", "0", "0"]
    assert row[10] == "open"


async def test_a_name_that_is_none_is_answered_with_what_runs(engine: Engine, served: App) -> None:
    """By service and pid, for both commands."""
    for command in ("tap", "list"):
        result = await engine(command, "4711000")
        assert result.exit_code == 2
        assert "no process here is '4711000'" in result.stderr
        assert f"customer ({os.getpid()})" in result.stderr


async def test_of_several_processes_one_has_to_be_chosen(
    mesh: Mesh, engine: Engine, served: App
) -> None:
    """Their names and pids are told."""
    await mesh.start(blueprint("reach"))
    result = await engine("tap", str(os.getpid()))
    assert result.exit_code == 2
    assert "is 2 processes" in result.stderr
    assert f"reach ({os.getpid()})" in result.stderr


async def test_nothing_that_runs_is_told(engine: Engine) -> None:
    """With how to start it."""
    result = await engine("list")
    assert result.exit_code == 1
    assert "nothing serves" in result.stderr


async def test_who_has_no_right_is_refused(mesh: Mesh, engine: Engine) -> None:
    """By the ordinary chain; no user may either, whatever his rights."""
    mesh.trust(OPERATOR, {"sequencer.read"})
    await mesh.start(blueprint())
    for command in ("tap", "list"):
        result = await engine(command, "customer")
        assert result.exit_code == 1
        assert "'lane." in result.stderr
    token = mesh.token("admin", permissions={"lane.tap", "lane.read"})
    stub = LaneServiceStub(mesh.channel("customer", token=token))
    view = await refusal(stub.ListLanes(pb.ListLanesRequest()))
    assert view.reason == "PERMISSION_DENIED"
