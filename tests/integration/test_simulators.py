"""Carrier and call platform over real sockets: what they accept, what they report, and when."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from mesh.context import Principal, Scope
from mesh.contract import Method
from mesh.errors import ErrorView, MeshError, MeshReason
from mesh.service import RIGHTS_OF_ALL, Blueprint, Parts, Service, Servicer
from mesh.testing import Mesh
from simulators.calls.app import BLUEPRINT as CALLS
from simulators.sms.app import BLUEPRINT as SMS

SENT, DELIVERED, FAILED = (
    reach_pb2.CONTACT_STATE_SENT,
    reach_pb2.CONTACT_STATE_DELIVERED,
    reach_pb2.CONTACT_STATE_FAILED,
)
WITHIN_S = 30.0

CARRIER = """
import asyncio, sys
from pathlib import Path
from mesh.app import App
from mesh.registry import DirectoryRegistry
from mesh.settings import Settings
from simulators.sms.app import BLUEPRINT

async def serve():
    settings = Settings(var=Path(sys.argv[1]), port_base=0)
    async with App(BLUEPRINT, settings, DirectoryRegistry(settings.run_dir), keys=[]):
        print("serving", flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""

Report = tuple[int, int, str]


class Reach(reach_pb2_grpc.ReachServiceServicer):
    """The one method of the reach centre that outside parties call; it keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[reach_pb2.ReportDeliveryRequest] = []
        self.unknown: set[int] = set()
        self.refusals = 0
        self._news = asyncio.Condition()

    async def ReportDelivery(
        self, request: reach_pb2.ReportDeliveryRequest, _: object
    ) -> reach_pb2.ReportDeliveryResponse:
        async with self._news:
            if request.contact_id in self.unknown:
                self.refusals += 1
                self._news.notify_all()
                raise MeshError(MeshReason.OUT_OF_SCOPE)
            self.told.append(request)
            self._news.notify_all()
        return reach_pb2.ReportDeliveryResponse(state=request.state)

    async def heard(self, count: int) -> list[Report]:
        """All reports, once there are so many."""
        await self.until(lambda: len(self.told) >= count)
        return [(one.contact_id, one.state, one.result_code) for one in self.told]

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(WITHIN_S), self._news:
            await self._news.wait_for(holds)

    @property
    def blueprint(self) -> Blueprint:
        async def nobody(principal: Principal, scope: Scope, row: Any) -> bool:
            return False

        async def no_author(method: Method, row: Any) -> None:
            return None

        def build(_: Parts) -> Service:
            contract = reach_pb2.DESCRIPTOR.services_by_name["ReachService"]
            return Service(
                servicers=[Servicer(descriptor=contract, implementation=self)],
                scope_resolver=nobody,
                author_resolver=no_author,
            )

        # An audited contract wants a database; any schema will do.
        return Blueprint(name="reach", build=build, migrations=SMS.migrations)


@pytest.fixture
def reach() -> Reach:
    return Reach()  # type: ignore[abstract]  # outside parties call one method


def trust(mesh: Mesh) -> None:
    mesh.trust("bank", {"simulator.use", "simulator.plan"})
    for blueprint in (SMS, CALLS):
        mesh.trust(blueprint.name, blueprint.rights)


@pytest.fixture
async def served(mesh: Mesh, reach: Reach) -> Mesh:
    """Both outside parties, and the reach centre that they report to."""
    trust(mesh)
    for blueprint in (reach.blueprint, SMS, CALLS):
        await mesh.start(blueprint)
    return mesh


def carrier(mesh: Mesh) -> simulator_pb2_grpc.SmsSimulatorServiceAsyncStub:
    return simulator_pb2_grpc.SmsSimulatorServiceStub(mesh.channel("sms", caller="bank"))


def calls(mesh: Mesh) -> simulator_pb2_grpc.CallSimulatorServiceAsyncStub:
    return simulator_pb2_grpc.CallSimulatorServiceStub(mesh.channel("calls", caller="bank"))


def message(contact_id: int, customer_id: int = 7, text: str = "您好") -> Any:
    return simulator_pb2.SendMessageRequest(
        contact_id=contact_id, customer_id=customer_id, text=text
    )


def plan(customer_id: int, code: str = "") -> simulator_pb2.PlanMessagesRequest:
    one = simulator_pb2.MessagePlan(customer_id=customer_id, result_code=code)
    return simulator_pb2.PlanMessagesRequest(plans=[one])


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_message_without_a_plan_is_sent_and_arrives(served: Mesh, reach: Reach) -> None:
    """The carrier reports that it accepted the message, then that it arrived."""
    answer = await carrier(served).SendMessage(message(1))
    assert answer.message_id
    assert await reach.heard(2) == [(1, SENT, ""), (1, DELIVERED, "")]


async def test_message_fails_as_planned(served: Mesh, reach: Reach) -> None:
    """The plan's code is reported; a plan without one has the carrier's own."""
    stub = carrier(served)
    await stub.PlanMessages(plan(7, "BLACKLISTED"))
    await stub.PlanMessages(plan(8))
    await stub.SendMessage(message(1, customer_id=7))
    await reach.heard(2)
    await stub.SendMessage(message(2, customer_id=8))
    told = await reach.heard(4)
    assert told[1] == (1, FAILED, "BLACKLISTED")
    assert told[3] == (2, FAILED, "UNDELIVERED")


async def test_same_key_again_is_the_same_message(served: Mesh, reach: Reach) -> None:
    """A repeated hand-over answers the same id and is reported once."""
    stub = carrier(served)
    first = await stub.SendMessage(message(1))
    assert await stub.SendMessage(message(1)) == first
    await stub.SendMessage(message(2))
    assert sorted(await reach.heard(4)) == [
        (1, SENT, ""),
        (1, DELIVERED, ""),
        (2, SENT, ""),
        (2, DELIVERED, ""),
    ]


async def test_same_key_with_another_text_is_refused(served: Mesh) -> None:
    """One contact is one message."""
    stub = carrier(served)
    await stub.SendMessage(message(1))
    assert (await refusal(stub.SendMessage(message(1, text="改了")))).reason == "KEY_REUSED"


async def test_messages_are_listed_in_order_with_the_hash_of_their_texts(served: Mesh) -> None:
    """All of them, or those to some customers."""
    stub = carrier(served)
    for contact_id, customer_id in ((3, 8), (2, 7), (1, 8)):
        await stub.SendMessage(message(contact_id, customer_id, text=f"第{contact_id}条"))
    everything = await stub.ListMessages(simulator_pb2.ListMessagesRequest())
    assert [one.contact_id for one in everything.messages] == [3, 2, 1]
    some = await stub.ListMessages(simulator_pb2.ListMessagesRequest(customer_ids=[8, 9, 8]))
    assert [one.contact_id for one in some.messages] == [3, 1]
    assert some.messages[0].text_sha256 == hashlib.sha256("第3条".encode()).hexdigest()


@pytest.mark.embedded
async def test_the_text_of_a_message_is_not_kept(served: Mesh) -> None:
    """Not in the carrier's file nor in what lies beside it."""
    await carrier(served).SendMessage(message(3, 8, text="第3条"))
    files = served.settings.data_dir.glob("sms.db*")
    kept = b"".join(file.read_bytes() for file in files)
    assert kept
    assert "第3条".encode() not in kept


async def test_nobody_answers_a_call_without_a_plan(served: Mesh, reach: Reach) -> None:
    """The platform reports that the call was not answered."""
    await calls(served).Dial(simulator_pb2.DialRequest(contact_id=1, customer_id=7, staff_id=3))
    assert await reach.heard(1) == [(1, FAILED, "NO_ANSWER")]


async def test_answered_call_tells_how_long_it_took(served: Mesh, reach: Reach) -> None:
    """The planned length of the talk is part of the report."""
    stub = calls(served)
    answered = simulator_pb2.CallPlan(customer_id=7, answered=True)
    answered.talk_time.FromTimedelta(timedelta(seconds=75))
    await stub.PlanCalls(simulator_pb2.PlanCallsRequest(plans=[answered]))
    dialled = simulator_pb2.DialRequest(contact_id=1, customer_id=7, staff_id=3)
    first = await stub.Dial(dialled)
    assert await stub.Dial(dialled) == first
    assert await reach.heard(1) == [(1, DELIVERED, "")]
    assert reach.told[0].talk_time.ToTimedelta() == timedelta(seconds=75)
    other = simulator_pb2.DialRequest(contact_id=1, customer_id=8, staff_id=3)
    assert (await refusal(stub.Dial(other))).reason == "KEY_REUSED"


async def test_report_that_the_bank_does_not_know_is_told_again(served: Mesh, reach: Reach) -> None:
    """A report may overtake the bank's own commit; the others are not held up."""
    reach.unknown = {1}
    stub = carrier(served)
    await stub.SendMessage(message(1))
    await reach.until(lambda: reach.refusals > 0)
    await stub.SendMessage(message(2))
    assert await reach.heard(2) == [(2, SENT, ""), (2, DELIVERED, "")]
    reach.unknown = set()
    assert (await reach.heard(4))[2:] == [(1, SENT, ""), (1, DELIVERED, "")]


async def test_plans_and_owed_reports_survive_a_restart(var: Path, reach: Reach) -> None:
    """What was accepted while the bank was away is told after the carrier has died."""
    async with Mesh(var) as before:
        trust(before)
        await before.start(SMS)
        stub = carrier(before)
        await stub.PlanMessages(plan(7, "BLACKLISTED"))
        await stub.PlanMessages(plan(8, "SWITCHED_OFF"))
        await stub.SendMessage(message(1, customer_id=7))
    async with Mesh(var) as after:
        trust(after)
        for blueprint in (reach.blueprint, SMS):
            await after.start(blueprint)
        assert await reach.heard(2) == [(1, SENT, ""), (1, FAILED, "BLACKLISTED")]
        await carrier(after).SendMessage(message(2, customer_id=8))
        assert (await reach.heard(4))[2:] == [(2, SENT, ""), (2, FAILED, "SWITCHED_OFF")]


@asynccontextmanager
async def carrier_process(var: Path) -> AsyncIterator[None]:
    """The carrier in a process of its own, until it is killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CARRIER, var, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"serving\n"
        yield
    finally:
        process.kill()
        await process.wait()


async def test_killed_carrier_still_owes_its_reports(mesh: Mesh, var: Path, reach: Reach) -> None:
    """After kill -9 what it accepted is known and reported, once the bank can be reached."""
    trust(mesh)
    mesh.trust("sms", SMS.rights | RIGHTS_OF_ALL)
    async with carrier_process(var):
        await carrier(mesh).PlanMessages(plan(7, "BLACKLISTED"))
        await carrier(mesh).SendMessage(message(1))
    await mesh.start(reach.blueprint)
    async with carrier_process(var):
        assert await reach.heard(2) == [(1, SENT, ""), (1, FAILED, "BLACKLISTED")]
        assert (await carrier(mesh).SendMessage(message(1))).message_id


async def test_outside_parties_are_closed_to_users(served: Mesh) -> None:
    """All methods are for services alone."""
    token = served.token("rm001", permissions={"simulator.use", "simulator.plan"})
    stub = simulator_pb2_grpc.SmsSimulatorServiceStub(served.channel("sms", token=token))
    assert (await refusal(stub.SendMessage(message(1)))).reason == "PERMISSION_DENIED"
