"""The review centre over real sockets, fed by the real bus as other centres would feed it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias, TypeVar
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio

from centers.review.app import BLUEPRINT
from engine.mesh.v1 import policy_pb2
from engine.mesh.v1.bus_pb2 import AppendRequest, ListGroupsRequest
from engine.mesh.v1.bus_pb2_grpc import BusServiceStub
from engine.mesh.v1.event_pb2 import Event
from engine.review.v1 import review_pb2, review_pb2_grpc
from mesh.bus.app import BLUEPRINT as BUS
from mesh.context import Scope
from mesh.errors import ErrorView
from mesh.events import RemoteBus
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh
from tests.unit.centers.review.golden import COUNTS, STAGES, golden
from tests.unit.centers.review.telling import VERSION, behavior

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stub: TypeAlias = "review_pb2_grpc.ReviewServiceAsyncStub"
T = TypeVar("T")

TELLERS: Final = ("action", "reach", "benefits", "performance")
CHECK_LOG: Final = "/engine.review.v1.ReviewService/CheckLog"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            for name in (BLUEPRINT.name, *TELLERS):
                mesh.trust(name, RIGHTS_OF_ALL)
            await mesh.start(BUS)
            await mesh.start(BLUEPRINT)
            yield mesh


def user(
    mesh: Mesh,
    name: str,
    *permissions: str,
    scope: Scope = policy_pb2.SCOPE_ALL,
    branch_id: int = 0,
) -> Stub:
    token = mesh.token(name, permissions=permissions, data_scope=scope, branch_id=branch_id)
    return review_pb2_grpc.ReviewServiceStub(mesh.channel("review", token=token))


@pytest.fixture
def compliance(mesh: Mesh) -> Stub:
    return user(mesh, "compliance", "review.read", "review.audit", "review.scene")


async def tell(mesh: Mesh, events: Sequence[Event]) -> None:
    """Each event by the service whose it is; records of behaviour by the action centre."""
    for teller in TELLERS:
        bus = RemoteBus(mesh.channel("bus", caller=teller))
        own = [one for one in events if _teller(one) == teller]
        for start in range(0, len(own), 2_000):
            await bus.append(AppendRequest(events=own[start : start + 2_000]))


def _teller(event: Event) -> str:
    return event.topic if event.topic in TELLERS else "action"


async def eventually(look: Callable[[], Awaitable[T]], enough: Callable[[T], bool]) -> T:
    """What `look` answers once it is enough; the test's time-out is the bound."""
    while True:
        found = await look()
        if enough(found):
            return found
        await asyncio.sleep(0.01)


async def all_is_consumed(mesh: Mesh) -> None:
    """Return once the bus has nothing left for the review centre."""
    token = mesh.token("op001", permissions={"bus.read"})
    bus = BusServiceStub(mesh.channel("bus", token=token))

    async def behind() -> int:
        groups = (await bus.ListGroups(ListGroupsRequest())).groups
        return sum(one.lag for one in groups if one.topic in TELLERS)

    await eventually(behind, lambda lag: not lag)


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def behaviors(stub: Stub, **asked: Any) -> list[review_pb2.Behavior]:
    answer = await stub.ListBehaviors(review_pb2.ListBehaviorsRequest(**asked))
    return list(answer.behaviors)


async def test_a_call_is_in_the_log(mesh: Mesh) -> None:
    """Told by the service that served it, with who did it under which policy (X13)."""
    name = uuid4().hex
    auditor = user(mesh, name, "review.read", "review.audit")
    await auditor.CheckLog(review_pb2.CheckLogRequest())
    (found,) = await eventually(lambda: behaviors(auditor, actor=name), bool)
    assert (found.source, found.record.verb) == ("review", CHECK_LOG)
    assert found.record.policy_version
    checked = await auditor.CheckLog(review_pb2.CheckLogRequest())
    assert (checked.entries >= found.position, checked.broken_at) == (True, 0)


async def test_everybody_sees_his_part_of_the_log(mesh: Mesh, compliance: Stub) -> None:
    """Who has a branch its people's, who has a book his own, compliance all."""
    task_id = 4_711
    told = [("rm001", 3), ("rm002", 3), ("rm003", 4)]
    await tell(mesh, [behavior(actor, branch_id=b, task_id=task_id) for actor, b in told])

    async def seen(stub: Stub, **more: Any) -> set[str]:
        return {one.record.actor for one in await behaviors(stub, task_id=task_id, **more)}

    await eventually(lambda: seen(compliance), lambda actors: len(actors) == len(told))
    own = user(mesh, "rm001", "review.read", scope=policy_pb2.SCOPE_OWN_BOOK, branch_id=3)
    branch = user(mesh, "bm003", "review.read", scope=policy_pb2.SCOPE_BRANCH, branch_id=3)
    assert await seen(own) == {"rm001"}
    assert await seen(own, actor="rm002") == set()
    assert await seen(branch) == {"rm001", "rm002"}
    assert await seen(branch, actor="rm003") == set()
    assert await seen(compliance, actor="rm003") == {"rm003"}


async def test_a_record_that_comes_twice_is_in_the_log_once(mesh: Mesh, compliance: Stub) -> None:
    """By its event; the positions stay without gaps."""
    actor = uuid4().hex
    twice, last = behavior(actor), behavior(actor)
    await tell(mesh, [twice, twice])
    await tell(mesh, [twice, last])
    found = await eventually(lambda: behaviors(compliance, actor=actor), lambda f: len(f) > 1)
    assert len(found) == 2
    everything = await behaviors(compliance, page_size=1_000)
    places = [one.position for one in everything]
    assert places == list(range(len(places), 0, -1))


async def test_a_page_leads_to_the_next(mesh: Mesh, compliance: Stub) -> None:
    """Of the list that it is a page of, and of no other."""
    actor = uuid4().hex
    await tell(mesh, [behavior(actor) for _ in range(5)])
    await eventually(lambda: behaviors(compliance, actor=actor), lambda f: len(f) == 5)
    request = review_pb2.ListBehaviorsRequest(actor=actor, page_size=3)
    first = await compliance.ListBehaviors(request)
    request.page_token = first.next_page_token
    second = await compliance.ListBehaviors(request)
    places = [one.position for one in (*first.behaviors, *second.behaviors)]
    assert places == sorted(set(places), reverse=True)
    assert (len(places), second.next_page_token) == (5, "")
    request.actor = "somebody else"
    view = await refusal(compliance.ListBehaviors(request))
    assert view.reason == "PAGE_TOKEN_INVALID"


async def test_the_golden_loop_is_measured(mesh: Mesh, compliance: Stub) -> None:
    """Funnel and effect of A1, also when all of it is told a second time."""
    request = review_pb2.GetFunnelRequest(scene_version=VERSION)
    told = list(golden())

    async def counts() -> dict[str, int]:
        funnel = (await compliance.GetFunnel(request)).funnel
        return {**funnel.counts, **{stage.name: stage.count for stage in funnel.stages}}

    expected = {**COUNTS, **STAGES}
    await tell(mesh, told)
    await all_is_consumed(mesh)
    assert await counts() == expected
    asked = review_pb2.GetEffectRequest(scene_version=VERSION)
    effect = (await compliance.GetEffect(asked)).effect
    shown = (effect.lift_ppm, effect.lift_low_ppm, effect.lift_high_ppm)
    assert shown == (50_427, 16_869, 83_986)
    await tell(mesh, told)
    await all_is_consumed(mesh)
    assert await counts() == expected
    assert (await compliance.GetEffect(asked)).effect == effect


async def test_a_version_that_nobody_told_of_is_not_found(compliance: Stub) -> None:
    """Rather than one without customers."""
    for call in (
        compliance.GetFunnel(review_pb2.GetFunnelRequest(scene_version=999)),
        compliance.GetEffect(review_pb2.GetEffectRequest(scene_version=999)),
    ):
        assert (await refusal(call)).reason == "SCENE_VERSION_UNKNOWN"


async def test_a_desk_measures_no_scene_and_checks_no_log(mesh: Mesh) -> None:
    """The right to read his own entries is not one to review."""
    rm = user(mesh, "rm001", "review.read", scope=policy_pb2.SCOPE_OWN_BOOK)
    for call in (
        rm.GetFunnel(review_pb2.GetFunnelRequest(scene_version=VERSION)),
        rm.GetEffect(review_pb2.GetEffectRequest(scene_version=VERSION)),
        rm.CheckLog(review_pb2.CheckLogRequest()),
    ):
        assert (await refusal(call)).reason == "PERMISSION_DENIED"
