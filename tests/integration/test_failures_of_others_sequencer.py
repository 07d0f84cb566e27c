"""What other id services were seen to get wrong in the server, by the numbers of the list.

The numbers are those of "Known failures of the others"; those of clients and of serial
numbers have their tests beside these.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from loadtests.servers import MariaDb
from mesh.context import CALLER
from mesh.registry import DirectoryRegistry, Entry
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import Settings
from mesh.storage import migrations
from mesh.testing import Mesh
from mesh.tokens import ServiceKey, write_trust
from sequencer.app import BLUEPRINT
from sequencer.sdk import GrpcRangeSource, Lease, LeaseRequest, SequencerUnavailable
from tests.fault import Worker
from tests.fault.copies import copy_server, copy_sqlite, put_back_server, put_back_sqlite
from tests.fault.takers import TAKER
from tests.integration.sequences import RIGHTS, at, create, get, give_back, lease, leases

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

NAME = "shop.order"
FENCED = pb.LEASE_ACTION_FENCED
GRANTED, RETURNED = pb.LEASE_ACTION_GRANTED, pb.LEASE_ACTION_RETURNED
JOURNAL = "sequencer-witness.db"


@dataclass(slots=True)
class Hosts:
    """Two servers on one store, each on a host of its own, called by the service "shop"."""

    one: Stub
    other: Stub
    operator: Stub


@asynccontextmanager
async def hosts(var: Path, **settings: str) -> AsyncIterator[Hosts]:
    """Start them; the second one keeps its journal in a folder of its own."""
    elsewhere = var / "b"
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(Mesh(var, **settings))
        mesh.trust("shop", RIGHTS)
        one = await mesh.start(BLUEPRINT)
        shutil.copytree(mesh.settings.key_dir, elsewhere / "keys", dirs_exist_ok=True)
        for folder in ("run", "data"):
            (elsewhere / folder).mkdir(exist_ok=True)
        if not settings and not (database := elsewhere / "data" / "sequencer.db").exists():
            database.symlink_to(var / "data" / "sequencer.db")
        other = await mesh.start(BLUEPRINT, replica=9, var=elsewhere)
        ways = [at(mesh, one, caller="shop"), at(mesh, other, caller="shop"), at(mesh, one)]
        for channel, _ in ways:
            await stack.enter_async_context(channel)
        yield Hosts(*(stub for _, stub in ways))


def forget(var: Path, *places: str) -> None:
    """Lose the journals of hosts: "" is the first one, "b" the second."""
    for place in places:
        for file in (var / place / "data").glob(f"{JOURNAL}*"):
            file.unlink()


@pytest.fixture
async def lost(var: Path) -> dict[str, pb.Lease]:
    """Leases of a store that was put back to before they were granted, while nobody ran.

    The first one is there still; the others are not: those of the first host and the
    newest, which the second host granted.
    """
    database, copy = var / "data" / "sequencer.db", var / "copy.db"
    async with hosts(var) as servers:
        await create(servers.one, NAME)
        kept = await lease(servers.one, NAME, "kept", 100)
        copy_sqlite(database, copy)
        first = await lease(servers.one, NAME, "first", 1_000)
        newest = await lease(servers.other, NAME, "newest", 500)
    put_back_sqlite(copy, database)
    return {"kept": kept, "first": first, "newest": newest}


def end(held: pb.Lease) -> int:
    return held.first + held.size - 1


# 1: CosId hands out ids again that a lost replica forgot, and nobody notices.


@pytest.mark.embedded
async def test_1_a_server_that_saw_more_than_the_store_jumps_and_raises_an_alarm(
    lost: dict[str, pb.Lease], var: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By its journal; the other one is cold, and learns it from the log."""
    forget(var, "")
    async with hosts(var) as servers:
        by_warm = await lease(servers.other, NAME, "a", 10)
        by_cold = await lease(servers.one, NAME, "b", 10)

        assert by_warm.first == end(lost["newest"]) + 1
        assert by_cold.first == end(by_warm) + 1
        (jump,) = await leases(servers.one, NAME, actions=[FENCED])
        number = lost["newest"].lease_number
        assert jump.note == f"witness this server: entry {number} of epoch 0"
        assert (jump.first, end(jump)) == (lost["first"].first, end(lost["newest"]))
        assert caplog.messages.count("sequence_fenced") == 1


@pytest.mark.embedded
async def test_1_a_cold_server_hears_it_from_a_client_and_asks_the_others(
    lost: dict[str, pb.Lease], var: Path
) -> None:
    """The client knows of less than the other server's journal: that is jumped over as well."""
    forget(var, "")
    async with hosts(var) as servers:
        held = await lease(servers.one, NAME, "first", 10, lost["first"])

        assert held.first == end(lost["newest"]) + 1
        assert held.witness.epoch == 1
        (jump,) = await leases(servers.one, NAME, actions=[FENCED])
        number = lost["first"].lease_number
        assert jump.note == f"witness mesh:shop/first: entry {number} of epoch 0"
        assert (await lease(servers.other, NAME, "newest", 10, lost["newest"])).first > end(held)
        assert len(await leases(servers.one, NAME, actions=[FENCED])) == 1


@pytest.mark.embedded
async def test_1_nothing_comes_back_of_ids_that_a_store_forgot(
    lost: dict[str, pb.Lease], var: Path
) -> None:
    """Neither of a lost lease nor of one that is in the log still: who has it is not known."""
    async with hosts(var) as servers:
        await lease(servers.one, NAME, "a", 10)

        assert await give_back(servers.one, NAME, lost["kept"], 10) == 0
        with pytest.raises(Exception, match="no such lease"):
            await give_back(servers.one, NAME, lost["newest"], 10)


@pytest.mark.real
@pytest.mark.slow
async def test_1_a_database_put_back_under_servers_that_go_on_is_found_out(var: Path) -> None:
    """Both go on with what they have in memory; no id is granted twice."""
    with MariaDb(var / "mariadb") as server:
        async with hosts(var, database_url=server.url) as servers:
            await create(servers.one, NAME)
            taken = [await lease(servers.one, NAME, "a", 100)]
            await asyncio.to_thread(copy_server, server, var / "copy")
            both = (servers.one, servers.other)
            taken += [await _once_back(stub, 1_000) for stub in both]
            await asyncio.to_thread(put_back_server, var / "copy", server)
            taken += [await _once_back(stub, 10) for stub in reversed(both)]
            jumps = await leases(servers.one, NAME, actions=[FENCED])

    ranges = sorted((held.first, end(held)) for held in taken)
    assert all(stop < first for (_, stop), (first, _) in pairwise(ranges))
    assert len(jumps) == 1


async def _once_back(stub: Stub, size: int) -> pb.Lease:
    """A range, once the store that is being restarted is back."""
    away = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    async with asyncio.timeout(60):
        while True:
            try:
                return await lease(stub, NAME, "a", size)
            except grpc.aio.AioRpcError as error:
                if error.code() not in away:
                    raise
                await asyncio.sleep(0.1)


# 6: Leaf and tinyid lose up to a million ids with each restart.


@pytest.mark.embedded
async def test_6_a_restart_of_servers_loses_no_id(var: Path) -> None:
    """They hold none: ranges of five lives follow one another."""
    firsts = []
    for life in range(5):
        async with hosts(var) as servers:
            await create(servers.one, NAME)
            both = (servers.one, servers.other)
            firsts += [(await lease(stub, NAME, f"life{life}", 7)).first for stub in both]
    assert firsts == [1 + 7 * number for number in range(10)]


@pytest.mark.embedded
async def test_6_what_a_client_returns_goes_to_another_once(var: Path) -> None:
    """Under a number of its own, and never to a client that holds higher ids."""
    async with hosts(var) as servers:
        await create(servers.one, NAME)
        held = await lease(servers.one, NAME, "a", 1_000)
        assert await give_back(servers.other, NAME, held, 10) == 990
        assert await give_back(servers.one, NAME, held, 10) == 0

        assert (await lease(servers.one, NAME, "a", 5, held)).first == 1_001
        again = await lease(servers.other, NAME, "b", 5_000)
        assert (again.first, again.size) == (11, 990)
        assert again.lease_number > held.lease_number
        assert (await lease(servers.one, NAME, "c", 5)).first == 1_006


@pytest.mark.embedded
async def test_6_what_a_client_lost_stays_used_and_shows_in_the_audit(var: Path) -> None:
    """After a crash its whole range is granted to it and not returned, for whoever asks."""
    async with hosts(var) as servers:
        await create(servers.one, NAME)
        await lease(servers.one, NAME, "crashed", 1_000)
        assert (await lease(servers.other, NAME, "b", 5)).first == 1_001

        (found,) = await leases(servers.one, NAME, id=500)
        assert (found.client_id, found.action) == ("mesh:shop/crashed", GRANTED)
        (line,) = (await servers.one.GetUsage(pb.GetUsageRequest(name=NAME))).usage
        assert (line.granted, line.returned) == (1_005, 0)


# 9: a strict writer that is stopped between check and reply issues after it was deposed.


@dataclass(slots=True)
class Frozen:
    """A server that has frozen itself on its first grant, another one, and who asked it."""

    worker: Worker
    asked: Callable[[], Lease | None]
    other: GrpcRangeSource
    same: GrpcRangeSource


@pytest.fixture(params=["before", "after"])
def frozen(request: pytest.FixtureRequest, var: Path) -> Iterator[Frozen]:
    """It is frozen just before it appends, or just after that and before its reply."""
    settings = Settings(var=var)
    settings.data_dir.mkdir(parents=True)
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(settings.data_dir / "sequencer.db", BLUEPRINT.migrations)
    rights = {BLUEPRINT.name: BLUEPRINT.rights | RIGHTS_OF_ALL, TAKER: RIGHTS}
    write_trust(settings.key_dir, rights)
    environ = {"ENGINE_VAR": str(var)}
    stopping = Worker(
        "tests.integration.stopping", request.param, log=var / "one.log", environ=environ
    )
    plain = Worker("tests.fault.takers", "server", "2", log=var / "two.log", environ=environ)
    with stopping, plain, ThreadPoolExecutor(1) as pool:
        by_pid = {one.pid: one.address for one in _instances(settings, 2)}
        same, other = (_source(settings, by_pid[pid(one)]) for one in (stopping, plain))
        other.ensure(NAME, timeout_s=10)

        def ask() -> Lease | None:
            try:
                return _strict(same, "frozen")
            except SequencerUnavailable:
                return None  # it was silent for longer than it is waited for

        asked = pool.submit(ask)
        _until(lambda: _is_stopped(pid(stopping)))
        yield Frozen(stopping, lambda: asked.result(timeout=60), other, same)
        stopping.resume()
        asked.result(timeout=60)
        for source in (same, other):
            source.close()


def test_9_a_server_that_is_stopped_at_its_append_grants_nothing_stale(frozen: Frozen) -> None:
    """Another one goes on at once; what comes late is nobody else's, and what follows is higher."""
    taken = [_strict(frozen.other, f"c{number}") for number in range(5)]
    frozen.worker.resume()
    late = frozen.asked()
    behind = [_strict(source, "d") for source in (frozen.same, frozen.other) * 2]

    firsts = [held.first for held in [*taken, *behind]]
    assert firsts == sorted(set(firsts))
    assert late is None or late.first not in firsts
    numbers = [held.number for held in [*taken, *behind]]
    assert numbers == sorted(set(numbers))


def _strict(source: GrpcRangeSource, client: str) -> Lease:
    request = LeaseRequest(name=NAME, client_id=client, size=1)
    return source.lease(request, timeout_s=10)


def _source(settings: Settings, address: str) -> GrpcRangeSource:
    key = ServiceKey.load(settings.key_dir, TAKER)
    return GrpcRangeSource(address, lambda: ((CALLER, key.token()),))


def _instances(settings: Settings, count: int) -> Sequence[Entry]:
    registry = DirectoryRegistry(settings.run_dir)
    _until(lambda: len(registry.lookup(BLUEPRINT.name)) == count)
    return registry.lookup(BLUEPRINT.name)


def pid(worker: Worker) -> int:
    assert worker._process is not None
    return worker._process.pid


def _is_stopped(process: int) -> bool:
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state in ("T", "t")


def _until(condition: Callable[[], bool]) -> None:
    """Return once it holds; the test's time-out bounds the wait."""
    while not condition():
        time.sleep(0.005)


# 10: the fence holds while one witness survives; with none an operator says how far.


@pytest.mark.embedded
@pytest.mark.parametrize("witness", ["first", "newest"])
async def test_10_one_client_that_lives_is_witness_enough(
    lost: dict[str, pb.Lease], var: Path, witness: str
) -> None:
    """No journal is left; what it knows of is not granted again, and the audit names it."""
    forget(var, "", "b")
    async with hosts(var) as servers:
        held = await lease(servers.one, NAME, witness, 10, lost[witness])

        assert held.first == end(lost[witness]) + 1
        (jump,) = await leases(servers.one, NAME, actions=[FENCED])
        assert f"mesh:shop/{witness}" in jump.note


@pytest.mark.embedded
@pytest.mark.parametrize("survivor", ["", "b"])
async def test_10_one_journal_is_witness_enough(
    lost: dict[str, pb.Lease], var: Path, survivor: str
) -> None:
    """Each server's disk knows what that server granted."""
    forget(var, *({"", "b"} - {survivor}))
    knows = {"": "first", "b": "newest"}[survivor]
    async with hosts(var) as servers:
        stub = servers.other if survivor else servers.one

        assert (await lease(stub, NAME, "a", 10)).first == end(lost[knows]) + 1


@pytest.mark.embedded
async def test_10_with_no_witness_the_operator_names_the_last_id(
    lost: dict[str, pb.Lease], var: Path
) -> None:
    """The store alone knows nothing; behind his fence no id comes twice, and the audit says so."""
    forget(var, "", "b")
    async with hosts(var) as servers:
        assert (await get(servers.one, NAME)).next_value == lost["first"].first
        at_least = end(lost["newest"])
        request = pb.FenceSequenceRequest(name=NAME, at_least=at_least)
        moved = (await servers.operator.FenceSequence(request)).sequence

        assert (moved.next_value, moved.epoch) == (at_least + 1, 1)
        assert (await lease(servers.other, NAME, "newest", 1, lost["newest"])).first == at_least + 1
        (jump,) = await leases(servers.one, NAME, actions=[FENCED])
        assert (jump.client_id, jump.note) == ("ops/rpc", f"operator: at least {at_least}")
