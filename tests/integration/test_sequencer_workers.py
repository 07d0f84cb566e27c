"""What every source of workers promises, and snowflake ids through the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import ParamSpec, TypeVar

import pytest

from engine.sequencer.v1 import sequencer_pb2, snowflake_pb2
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from engine.sequencer.v1.snowflake_pb2_grpc import WorkerServiceStub
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from sequencer.app import BLUEPRINT
from sequencer.sdk import (
    GrpcWorkerSource,
    Layout,
    LocalWorkerSource,
    SequenceNotFound,
    Sequencer,
    SequencerError,
    SequencerUnavailable,
    Tenancy,
    Worker,
    WorkerLost,
    WorkerRequest,
    WorkerSource,
    mesh_source,
)

RIGHTS = {"sequencer.read", "sequencer.create", "sequencer.lease"}
NAME = "shop.event"
TIMEOUT_S = 5.0

P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture(params=["local", "grpc"])
async def source(request: pytest.FixtureRequest, mesh: Mesh) -> AsyncIterator[WorkerSource]:
    """Each source in turn."""
    made: WorkerSource = LocalWorkerSource()
    if request.param == "grpc":
        mesh.trust("shop", RIGHTS)
        await mesh.start(BLUEPRINT)
        ranges = mesh_source(mesh.registry, ServiceKey.load(mesh.settings.key_dir, "shop"))
        made = GrpcWorkerSource(ranges.link)
    yield made
    await blocking(made.close)


async def blocking(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call while the service serves on this loop."""
    return await asyncio.to_thread(call, *args, **kwargs)


def acquiring(source: WorkerSource) -> Callable[..., Awaitable[Worker]]:
    async def acquire(client: str, *, last_tick: int = -1) -> Worker:
        request = WorkerRequest(name=NAME, client_id=client, window_s=30.0, last_tick=last_tick)
        return await blocking(source.acquire, request, timeout_s=TIMEOUT_S)

    return acquire


def tenancy(client: str, worker: Worker) -> Tenancy:
    return Tenancy(
        name=NAME,
        client_id=client,
        worker_id=worker.worker_id,
        token=worker.token,
        until_tick=worker.until_tick,
        now_tick=worker.now_tick,
    )


async def test_a_sequence_must_exist(source: WorkerSource) -> None:
    """Asking for a worker makes none."""
    with pytest.raises(SequenceNotFound):
        await acquiring(source)("a")


async def test_each_client_has_a_worker_of_its_own(source: WorkerSource) -> None:
    """With a window from now on, in the default layout."""
    for _ in range(2):
        await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    acquire = acquiring(source)

    workers = [await acquire(client) for client in "abc"]

    assert [worker.worker_id for worker in workers] == [0, 1, 2]
    assert all(worker.layout == Layout() for worker in workers)
    for worker in workers:
        assert worker.now_tick == worker.from_tick == worker.until_tick - 30_000


async def test_a_window_begins_after_the_client_s_last_tick(source: WorkerSource) -> None:
    """However the source's clock stands."""
    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    acquire = acquiring(source)
    first = await acquire("a")

    later = await acquire("a", last_tick=first.until_tick - 1)

    assert later.from_tick == first.until_tick
    assert later.until_tick == later.from_tick + 30_000


async def test_a_renewal_is_the_holder_s_alone(source: WorkerSource) -> None:
    """It never makes the window shorter; with another proof the worker is lost."""
    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    worker = await acquiring(source)("a")
    mine = tenancy("a", worker)

    longer = await blocking(source.renew, mine, 60.0, timeout_s=TIMEOUT_S)
    same = await blocking(source.renew, mine, 1.0, timeout_s=TIMEOUT_S)

    assert longer.until_tick >= worker.from_tick + 60_000
    assert same.until_tick == longer.until_tick
    assert same.token == worker.token
    for wrong in (
        replace(mine, client_id="b"),
        replace(mine, token=worker.token + 7),
        replace(mine, worker_id=5),
    ):
        with pytest.raises(WorkerLost):
            await blocking(source.renew, wrong, 60.0, timeout_s=TIMEOUT_S)


async def test_a_release_lets_the_next_one_have_the_rest(source: WorkerSource) -> None:
    """Twice does nothing; a released worker is not renewed."""
    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    worker = await acquiring(source)("a")
    mine = tenancy("a", worker)
    for _ in range(2):
        await blocking(source.release, mine, worker.from_tick + 1, timeout_s=TIMEOUT_S)

    with pytest.raises(WorkerLost):
        await blocking(source.renew, mine, 60.0, timeout_s=TIMEOUT_S)
    other = await acquiring(source)("b")
    assert other.worker_id == worker.worker_id
    assert other.from_tick > worker.from_tick


async def test_ids_go_on_over_clients_of_the_service(mesh: Mesh) -> None:
    """Unique, ordered by time, from the sequence that the first client made."""
    mesh.trust("shop", RIGHTS)
    await mesh.start(BLUEPRINT)
    key = ServiceKey.load(mesh.settings.key_dir, "shop")
    ids: list[int] = []
    for _ in range(2):
        async with Sequencer(
            mesh_source(mesh.registry, key), create_missing=True, timeout_s=30
        ) as sequencer:
            events = sequencer.snowflake(NAME)
            ids += [await events.next_id_async() for _ in range(5_000)]
            assert events.stats().worker_id == 0

    assert ids == sorted(set(ids))


async def test_an_id_is_traced_to_its_process(mesh: Mesh) -> None:
    """Who may read the sequence sees the time, the worker and its holder."""
    mesh.trust("shop", RIGHTS)
    await mesh.start(BLUEPRINT)
    key = ServiceKey.load(mesh.settings.key_dir, "shop")
    async with Sequencer(
        mesh_source(mesh.registry, key), create_missing=True, timeout_s=30
    ) as sequencer:
        id_ = await sequencer.snowflake(NAME).next_id_async()
        stub = WorkerServiceStub(mesh.channel("sequencer", caller="shop"))
        found = await stub.InspectSnowflake(
            snowflake_pb2.InspectSnowflakeRequest(name=NAME, id=id_)
        )
        listed = await stub.ListWorkers(snowflake_pb2.ListWorkersRequest(name=NAME, page_size=1))

    parts = Layout().decode(id_)
    assert (found.worker_id, found.sequence) == (parts.worker_id, parts.sequence)
    assert found.id_time.ToDatetime(parts.time.tzinfo) == parts.time
    assert found.window.holder.startswith("mesh:shop/")
    assert [window.worker_id for window in listed.windows] == [0]
    assert listed.days_left > 24_000


async def test_a_range_is_not_to_be_had_of_a_snowflake_sequence(mesh: Mesh) -> None:
    """Nor a worker of another kind: each kind has its own calls."""
    mesh.trust("shop", RIGHTS)
    await mesh.start(BLUEPRINT)
    key = ServiceKey.load(mesh.settings.key_dir, "shop")
    channel = mesh.channel("sequencer", caller="shop")
    order = sequencer_pb2.Sequence(name="shop.order", kind=sequencer_pb2.SEQUENCE_KIND_SEGMENT)
    await SequencerServiceStub(channel).CreateSequence(
        sequencer_pb2.CreateSequenceRequest(sequence=order)
    )
    async with Sequencer(
        mesh_source(mesh.registry, key), create_missing=True, timeout_s=30
    ) as sequencer:
        await sequencer.snowflake(NAME).next_id_async()
        with pytest.raises(SequencerError, match="SNOWFLAKE"):
            await sequencer.sequence(NAME).next_id_async()
        with pytest.raises(SequencerError, match="SEGMENT") as refused:
            await sequencer.snowflake("shop.order").next_id_async()

    assert not isinstance(refused.value, SequencerUnavailable)
