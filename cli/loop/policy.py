"""The contact policy that scenarios count on: one marketing contact in seven days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from centers.reach.policy_wire import policy
from centers.reach.rules import DEMO
from cli.loop.people import People, request_id, tried
from engine.reach.v1 import reach_pb2, reach_pb2_grpc

if TYPE_CHECKING:
    from engine.reach.v1.reach_pb2_grpc import ReachServiceAsyncStub


async def agree_policy(people: People, maker: str, checker: str) -> None:
    """Put the demo's contact policy in force, unless it is; both must be signed on."""
    drafting: ReachServiceAsyncStub = reach_pb2_grpc.ReachServiceStub(
        people.as_user(maker, "reach")
    )
    approving: ReachServiceAsyncStub = reach_pb2_grpc.ReachServiceStub(
        people.as_user(checker, "reach")
    )
    wanted = policy(DEMO)
    asked = reach_pb2.GetPolicyRequest()
    in_force = (await tried(lambda: drafting.GetPolicy(asked))).contact_policy
    in_force.ClearField("definition")
    if in_force == wanted:
        return
    draft = reach_pb2.DraftPolicyRequest(contact_policy=wanted, request_id=request_id())
    made = (await tried(lambda: drafting.DraftPolicy(draft))).contact_policy
    version = made.definition.version
    submit = reach_pb2.SubmitPolicyRequest(version=version, request_id=request_id())
    await tried(lambda: drafting.SubmitPolicy(submit))
    approve = reach_pb2.ApprovePolicyRequest(version=version, request_id=request_id())
    await tried(lambda: approving.ApprovePolicy(approve))
