"""`engine events` against a running bus."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from typer.testing import CliRunner, Result

from cli.compose import rights
from cli.events import app
from cli.names import OPERATOR
from engine.mesh.v1 import bus_pb2 as pb
from engine.mesh.v1.bus_pb2_grpc import BusServiceStub
from engine.mesh.v1.trust_pb2 import Revocation
from mesh.bus.app import BLUEPRINT
from mesh.events import event
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh
from tests.integration.conftest import ENGINE

if TYPE_CHECKING:
    from engine.mesh.v1.bus_pb2_grpc import BusServiceAsyncStub

Engine = Callable[..., Awaitable[Result]]


@pytest.fixture
async def shop(mesh: Mesh) -> BusServiceAsyncStub:
    """The bus as a service `shop` sees it; the operator has the rights of the platform's."""
    mesh.trust(OPERATOR, rights({})[OPERATOR])
    mesh.trust("shop", RIGHTS_OF_ALL)
    await mesh.start(BLUEPRINT)
    return BusServiceStub(mesh.channel("bus", caller="shop"))


@pytest.fixture
def engine(mesh: Mesh, shop: BusServiceAsyncStub) -> Engine:
    """Runs `engine events …` as the local operator would."""
    environ = {"ENGINE_VAR": str(mesh.settings.var)}

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environ)

    return run


def rows(result: Result) -> list[list[str]]:
    """The cells of a table in a pipe, without its head."""
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()][1:]


async def append(shop: BusServiceAsyncStub, *ids: str, topic: str = "sessions") -> None:
    told = [event(Revocation(session_id=i), key=f"key {i}", topic=topic) for i in ids]
    await shop.Append(pb.AppendRequest(events=told))


async def bury(shop: BusServiceAsyncStub, *ids: str) -> None:
    await append(shop, *ids)
    request = pb.PollRequest(group="tasks", topic="sessions", member="m")
    found = (await shop.Poll(request)).events
    for logged in found:
        request.settled.buried.add(position=logged.position, attempts=6, error="LookupError")
    request.settled.position = found[-1].position
    await shop.Poll(request)


@pytest.mark.embedded  # the places of Redis Streams are no small numbers
async def test_tail_shows_the_newest_events(engine: Engine, shop: BusServiceAsyncStub) -> None:
    """One a line with the payload as JSON; of one topic, or from a place on, when asked."""
    await append(shop, "a", "b", "c")
    await append(shop, "x", topic="other")
    newest = rows(await engine("tail", "-n", "2"))
    assert [row[0] for row in newest] == ["3", "4"]
    _, _, topic, kind, key, actor, source, payload = newest[0]
    assert (topic, kind, key) == ("sessions", "engine.mesh.v1.Revocation", "key c")
    assert (actor, source) == ("mesh:shop", "shop")
    assert json.loads(payload) == {"sessionId": "c"}
    assert [row[0] for row in rows(await engine("tail", "--topic", "sessions", "-n", "1"))] == ["3"]
    assert [row[0] for row in rows(await engine("tail", "--after", "1", "-n", "2"))] == ["2", "3"]


async def test_a_payload_of_no_known_type_is_told_by_its_size(
    engine: Engine, shop: BusServiceAsyncStub
) -> None:
    """It may come from a newer service; what is not of its type is no reason to fail either."""
    unknown = event(StringValue(value="x"), topic="orders")
    unknown.type = "engine.nowhere.v1.Something"
    broken = event(Revocation(), topic="orders")
    broken.payload = b"\xff\xff\xff"
    await shop.Append(pb.AppendRequest(events=[unknown, broken]))
    assert [row[-1] for row in rows(await engine("tail"))] == ["3 bytes", "3 bytes"]


async def test_tail_follows(mesh: Mesh, shop: BusServiceAsyncStub) -> None:
    """Events are printed as they come, and Ctrl-C ends it without noise."""
    await append(shop, "a")
    process = await asyncio.create_subprocess_exec(
        *(str(ENGINE), "events", "tail", "-f"),
        env={**os.environ, "ENGINE_VAR": str(mesh.settings.var)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        head, first = [await process.stdout.readline() for _ in range(2)]
        assert head.startswith(b"Position\t")
        assert b'{"sessionId":"a"}' in first
        await append(shop, "b")
        assert b'{"sessionId":"b"}' in await process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        _, noise = await process.communicate()
    assert process.returncode == 0
    assert noise == b""


async def test_dead_letters_are_shown_and_replayed(
    engine: Engine, shop: BusServiceAsyncStub
) -> None:
    """By number or by group; what waits to be tried is told."""
    assert rows(await engine("dead")) == []
    await bury(shop, "a", "b")
    found = rows(await engine("dead", "--group", "shop.tasks"))
    assert [(row[1], row[4], row[5], row[6], row[8]) for row in found] == [
        ("shop.tasks", "key a", "6", "LookupError", "given up"),
        ("shop.tasks", "key b", "6", "LookupError", "given up"),
    ]
    assert rows(await engine("dead", "--group", "shop.other")) == []
    replayed = await engine("replay", found[0][0])
    assert replayed.stdout.startswith("1 dead letter")
    assert [row[8] for row in rows(await engine("dead"))] == ["replaying", "given up"]
    assert (await engine("replay", "--group", "shop.tasks")).stdout.startswith("2 dead letter")


async def test_groups_are_shown(engine: Engine, shop: BusServiceAsyncStub) -> None:
    """How far each is, what waits and what is dead."""
    await bury(shop, "a")
    await append(shop, "b", "c")
    assert rows(await engine("groups")) == [["shop.tasks", "sessions", "1", "2", "1"]]


async def test_mistakes_are_told_with_the_next_step(engine: Engine) -> None:
    """On standard error, with a code that is not 0."""
    nothing = await engine("replay")
    assert nothing.exit_code == 2
    assert "engine events dead" in nothing.output
    unknown = await engine("replay", "77")
    assert unknown.exit_code == 1
    assert "no such dead letter" in unknown.output
    assert "→" in unknown.output
