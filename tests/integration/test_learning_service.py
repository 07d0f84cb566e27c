"""The learning centre over real sockets, with the real sequencer behind it."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from centers.learning.app import BLUEPRINT
from engine.learning.v1 import learning_pb2, learning_pb2_grpc
from engine.mesh.v1 import policy_pb2
from mesh.clock import ManualClock
from mesh.errors import ErrorView
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

STAFF, CODE = 7, "FUND_SALES"
RIGHTS = frozenset({"learning.read", "learning.issue"})


@pytest.fixture
def clock() -> ManualClock:
    """Begins now, since tokens are checked by it too."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
async def served(mesh: Mesh, clock: ManualClock) -> Mesh:
    mesh.trust("reach", {"learning.screen"})
    mesh.trust(BLUEPRINT.name, BLUEPRINT.rights)
    await mesh.start(SEQUENCER)
    await mesh.start(BLUEPRINT, clock=clock)
    return mesh


def user(
    mesh: Mesh, scope: policy_pb2.Scope.ValueType = policy_pb2.SCOPE_ALL, staff_id: int = 1
) -> learning_pb2_grpc.LearningServiceAsyncStub:
    token = mesh.token("hq001", permissions=RIGHTS, data_scope=scope, staff_id=staff_id)
    return learning_pb2_grpc.LearningServiceStub(mesh.channel("learning", token=token))


def issue(clock: ManualClock, lasts_s: float, request_id: str = "") -> Any:
    request = learning_pb2.IssueQualificationRequest(
        staff_id=STAFF, code=CODE, source="EXAM", request_id=request_id
    )
    request.expire_time.FromDatetime(clock.now() + timedelta(seconds=lasts_s))
    return request


async def is_qualified(mesh: Mesh) -> bool:
    stub = learning_pb2_grpc.LearningServiceStub(mesh.channel("learning", caller="reach"))
    request = learning_pb2.HasQualificationRequest(staff_id=STAFF, code=CODE)
    return (await stub.HasQualification(request)).qualified


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_a15_qualification_opens_and_closes_at_once(served: Mesh, clock: ManualClock) -> None:
    """Issued: qualified. Expired, or revoked: not, with nothing that had to run in between."""
    assert not await is_qualified(served)
    await user(served).IssueQualification(issue(clock, 60))
    assert await is_qualified(served)
    clock.advance(60)
    assert not await is_qualified(served)
    await user(served).IssueQualification(issue(clock, 60))
    assert await is_qualified(served)
    revoke = learning_pb2.RevokeQualificationRequest(staff_id=STAFF, code=CODE, reason="ERROR")
    await user(served).RevokeQualification(revoke)
    assert not await is_qualified(served)


async def test_x1_repeated_issue_is_one_term(served: Mesh, clock: ManualClock) -> None:
    """The same request answers the same term; another one under its id is refused."""
    first = await user(served).IssueQualification(issue(clock, 60, "r1"))
    assert await user(served).IssueQualification(issue(clock, 60, "r1")) == first
    refused = await refusal(user(served).IssueQualification(issue(clock, 90, "r1")))
    assert refused.reason == "REQUEST_ID_REUSED"
    listed = await user(served).ListQualifications(
        learning_pb2.ListQualificationsRequest(staff_id=STAFF)
    )
    assert [*listed.qualifications] == [first.qualification]
    assert first.qualification.issuer == "hq001"


async def test_staff_see_their_own_qualifications_alone(served: Mesh, clock: ManualClock) -> None:
    """Somebody else's look like none."""
    await user(served).IssueQualification(issue(clock, 60))
    request = learning_pb2.ListQualificationsRequest(staff_id=STAFF)
    own = user(served, policy_pb2.SCOPE_OWN_BOOK, STAFF)
    assert len((await own.ListQualifications(request)).qualifications) == 1
    other = user(served, policy_pb2.SCOPE_BRANCH, STAFF + 1)
    assert (await refusal(other.ListQualifications(request))).reason == "OUT_OF_SCOPE"
