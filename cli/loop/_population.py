"""The customers of one run: made, given to Ark and customer centre, and cast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bank import Rows
from bank.inflow import CUSTOMERS, Cast, cast
from centers.action.holdout import held_out
from cli.loop.customers import admit, balanced, bind, bring, external_userid, plan_calls
from cli.loop.people import People, tried
from cli.names import LOADER
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc

if TYPE_CHECKING:
    from engine.simulator.v1.simulator_pb2_grpc import WecomSimulatorServiceAsyncStub

HOLDOUT_BP: Final = 1_000


async def populate(people: People, *, run: int, seed: int) -> Cast:
    """Ten thousand customers of this run's own, known to the platform, each with a part."""
    tokens = await admit(people, Rows(run * CUSTOMERS + 1, CUSTOMERS), seed=seed)
    parts = cast(tokens, lambda salt, token: held_out(salt, token, HOLDOUT_BP), seed=seed + run)
    await bring(people, [balanced(token, parts.owners[token]) for token in tokens])
    await bind(people, {token: parts.owners[token].staff_id for token in parts.wecom})
    await plan_calls(people, parts.calls, parts.talk_s)
    await _unfriend(people, parts)
    return parts


async def _unfriend(people: People, parts: Cast) -> None:
    """Some are no friends of their member any more."""
    server: WecomSimulatorServiceAsyncStub = simulator_pb2_grpc.WecomSimulatorServiceStub(
        people.as_local(LOADER, "wecom-server")
    )
    contacts = simulator_pb2.PlanContactsRequest(
        plans=[
            simulator_pb2.ContactPlan(
                external_userid=external_userid(token), result_code="NOT_FRIEND"
            )
            for token in parts.wecom_unfriended
        ]
    )
    await tried(lambda: server.PlanContacts(contacts))
