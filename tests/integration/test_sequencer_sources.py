"""What every source of ranges promises, checked on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from mesh.context import Metadata
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from sequencer.app import BLUEPRINT
from sequencer.sdk import (
    GrpcRangeSource,
    Lease,
    LeaseRequest,
    LocalRangeSource,
    RangeSource,
    SequenceExhausted,
    SequenceNotFound,
    Sequencer,
    SequencerError,
    SequencerUnavailable,
    Tail,
    Witness,
    mesh_source,
)

RIGHTS = {"sequencer.read", "sequencer.create", "sequencer.lease"}
NAME = "shop.order"
TIMEOUT_S = 5.0

P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture(params=["local", "grpc"])
async def source(request: pytest.FixtureRequest, mesh: Mesh) -> AsyncIterator[RangeSource]:
    """Each source in turn."""
    made: RangeSource = LocalRangeSource()
    if request.param == "grpc":
        mesh.trust("shop", RIGHTS)
        await mesh.start(BLUEPRINT)
        made = mesh_source(mesh.registry, ServiceKey.load(mesh.settings.key_dir, "shop"))
    yield made
    await blocking(made.close)


async def blocking(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call while the service serves on this loop."""
    return await asyncio.to_thread(call, *args, **kwargs)


def leasing(source: RangeSource) -> Callable[..., Awaitable[Lease]]:
    async def lease(client: str, size: int, *, last: Witness | None = None) -> Lease:
        request = LeaseRequest(name=NAME, client_id=client, size=size, last=last)
        return await blocking(source.lease, request, timeout_s=TIMEOUT_S)

    return lease


async def test_a_sequence_must_exist(source: RangeSource) -> None:
    """Neither leases nor returns make a sequence."""
    with pytest.raises(SequenceNotFound):
        await leasing(source)("a", 1)
    tail = Tail(name=NAME, client_id="a", lease_number=1, used=0)
    with pytest.raises(SequenceNotFound):
        await blocking(source.give_back, tail, timeout_s=TIMEOUT_S)


async def test_ensuring_makes_a_sequence_once(source: RangeSource) -> None:
    """Ensuring again neither fails nor begins anew."""
    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    assert (await leasing(source)("a", 10)).ids == range(1, 11)

    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    assert (await leasing(source)("b", 10)).ids == range(11, 21)


async def test_a_source_that_stands_lower_jumps(source: RangeSource) -> None:
    """What a log granted that is lost is never granted again, and a new epoch tells of it."""
    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    known = await leasing(source)("a", 5)
    lost = Witness(number=9, mark=7, epoch=known.epoch, position=700)

    ahead = await leasing(source)("a", 5, last=lost)

    assert ahead.ids == range(701, 706)
    assert ahead.follows(lost)
    assert ahead.epoch > known.epoch
    assert (await leasing(source)("b", 5, last=known.witness)).epoch == ahead.epoch


async def test_a_tail_is_granted_to_a_new_client_once(source: RangeSource) -> None:
    """The client that holds higher ids goes on; the new one gets the tail, in parts."""
    lease = leasing(source)
    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    held = await lease("a", 100)
    tail = Tail(name=NAME, client_id="a", lease_number=held.number, mark=held.mark, used=40)
    for _ in range(2):
        await blocking(source.give_back, tail, timeout_s=TIMEOUT_S)

    assert (await lease("a", 10, last=held.witness)).first == 101
    part = await lease("b", 20)
    assert (part.first, part.size) == (41, 20)
    rest = await lease("c", 1_000)
    assert (rest.first, rest.size) == (61, 40)
    assert held.number < part.number < rest.number
    assert (await lease("d", 1)).first == 111


async def test_a_closed_source_opens_again(source: RangeSource) -> None:
    """Closing lets go of connections, not of the source."""
    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    await blocking(source.close)

    assert (await leasing(source)("a", 1)).first == 1


async def test_an_end_is_told(mesh: Mesh) -> None:
    """The service's exhaustion reaches the SDK's user under its own name."""
    mesh.trust("shop", RIGHTS)
    await mesh.start(BLUEPRINT)
    key = ServiceKey.load(mesh.settings.key_dir, "shop")
    source = mesh_source(mesh.registry, key)
    await blocking(source.ensure, NAME, timeout_s=TIMEOUT_S)
    with pytest.raises(SequenceExhausted):
        await leasing(source)("a", 1, last=Witness(number=1, mark=1, epoch=0, position=2**63 - 1))
    await blocking(source.close)


async def test_a_client_without_the_right_is_refused_at_once(mesh: Mesh) -> None:
    """A refusal is not an outage: nobody waits for it to pass."""
    mesh.trust("shop", {"sequencer.read"})
    await mesh.start(BLUEPRINT)
    key = ServiceKey.load(mesh.settings.key_dir, "shop")
    async with Sequencer(mesh_source(mesh.registry, key), timeout_s=60) as sequencer:
        with pytest.raises(SequencerError, match="PERMISSION_DENIED") as caught:
            await sequencer.sequence(NAME).next_id_async()
    assert type(caught.value) is SequencerError


async def test_a_user_of_a_store_that_was_rewound_is_told(var: Path) -> None:
    """A user's client is not believed to know better than the store, and does not try for ever."""
    async with Mesh(var / "now") as now, Mesh(var / "restored") as restored:
        running = [now]

        def address() -> str:
            return running[0].registry.lookup("sequencer")[0].address

        def proof() -> Metadata:
            return (("authorization", f"Bearer {running[0].token('ops', permissions=RIGHTS)}"),)

        for mesh in (now, restored):
            await mesh.start(BLUEPRINT)
        source = GrpcRangeSource(address, proof)
        async with Sequencer(source, create_missing=True, timeout_s=60) as sequencer:
            ids = sequencer.sequence(NAME)
            await ids.next_ids_async(1)
            running[0] = restored
            with pytest.raises(SequencerError, match="FAILED_PRECONDITION") as caught:
                await ids.next_ids_async(ids.stats().held + 1)
            assert type(caught.value) is SequencerError


async def test_nobody_there_is_an_outage() -> None:
    """A target that nobody listens on is SequencerUnavailable, to be tried again."""
    source = GrpcRangeSource("127.0.0.1:1")

    with pytest.raises(SequencerUnavailable):
        await leasing(source)("a", 1)
    await blocking(source.close)


async def test_no_instance_is_an_outage(mesh: Mesh) -> None:
    """Before the sequencer is registered its clients wait for it."""
    mesh.trust("shop", RIGHTS)
    key = ServiceKey.load(mesh.settings.key_dir, "shop")
    source = mesh_source(mesh.registry, key)

    with pytest.raises(SequencerUnavailable, match="registered"):
        await leasing(source)("a", 1)
    await blocking(source.close)


async def test_a_service_takes_ids_while_it_serves(mesh: Mesh) -> None:
    """The SDK works beside grpc.aio on the same loop, and returns its tail when it is left."""
    mesh.trust("shop", RIGHTS)
    await mesh.start(BLUEPRINT)
    key = ServiceKey.load(mesh.settings.key_dir, "shop")

    for first in (1, 4):
        async with Sequencer(
            mesh_source(mesh.registry, key), create_missing=True, timeout_s=30
        ) as sequencer:
            ids = sequencer.sequence(NAME)
            assert [await ids.next_id_async() for _ in range(3)] == [first, first + 1, first + 2]
