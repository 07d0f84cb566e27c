"""The reach centre over real sockets, between the real centres and outside parties it works with.

Product and materials are played by small servicers of their contracts: what they
say is what these tests are about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import grpc
import pytest
import pytest_asyncio

from centers.customer.app import BLUEPRINT as CUSTOMER
from centers.learning.app import BLUEPRINT as LEARNING
from centers.reach.app import BLUEPRINT
from centers.wecom.app import BLUEPRINT as WECOM
from engine.action.v1 import action_pb2
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.learning.v1 import learning_pb2, learning_pb2_grpc
from engine.materials.v1 import materials_pb2, materials_pb2_grpc
from engine.mesh.v1 import bus_pb2, bus_pb2_grpc, policy_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.product.v1 import product_pb2, product_pb2_grpc
from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc
from mesh.bus.app import BLUEPRINT as BUS
from mesh.context import Principal, Scope
from mesh.contract import Method
from mesh.errors import ErrorView
from mesh.events import event
from mesh.service import RIGHTS_OF_ALL, Blueprint, Parts, Service, Servicer
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER
from simulators.calls.app import BLUEPRINT as CALLS
from simulators.sms.app import BLUEPRINT as SMS
from simulators.wecom.app import BLUEPRINT as WECOM_SERVER

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stub: TypeAlias = "reach_pb2_grpc.ReachServiceAsyncStub"

RM, OTHER_RM, BRANCH, OTHER_BRANCH = 7, 8, 3, 4
FIRST, CUSTOMERS = 1_000, 60
"""All belong to RM but the last, who is OTHER_RM's in the other branch."""
STRANGER = FIRST + CUSTOMERS - 1
SCRIPT, FUND, RISKY = 5, 90, 91
PATIENCE_S = 20

DESK = frozenset({"reach.read", "reach.send", "reach.record", "wecom.read"})


@dataclass
class Products(product_pb2_grpc.ProductServiceServicer):
    """Knows a fund that needs a qualification, and one that suits nobody."""

    receipts: count[int] = field(default_factory=lambda: count(1))

    async def ScreenSuitability(
        self, request: product_pb2.ScreenSuitabilityRequest, _: object
    ) -> product_pb2.ScreenSuitabilityResponse:
        check = product_pb2.SuitabilityCheck(
            receipt_id=next(self.receipts),
            customer_id=request.customer_id,
            product_id=request.product_id,
            suitable=request.product_id == FUND,
            staff_qualification="FUND_SALES",
        )
        if not check.suitable:
            check.reasons.append(product_pb2.SUITABILITY_REASON_RISK_TOO_HIGH)
        return product_pb2.ScreenSuitabilityResponse(suitability_check=check)


class Materials(materials_pb2_grpc.MaterialsServiceServicer):
    """Has one script with one slot."""

    async def ScreenScript(
        self, request: materials_pb2.ScreenScriptRequest, _: object
    ) -> materials_pb2.ScreenScriptResponse:
        if request.material_id != SCRIPT:
            return materials_pb2.ScreenScriptResponse(refusal="NOT_FOUND")
        greeting = request.slots.get("greeting", "您好")
        script = materials_pb2.RenderedScript(
            material_id=SCRIPT, version=1, text=f"{greeting}，本行新品今日起售。"
        )
        return materials_pb2.ScreenScriptResponse(script=script)


def played(name: str, module: Any, contract: str, implementation: object) -> Blueprint:
    """A service that answers what the implementation does of a contract."""

    async def nobody(principal: Principal, scope: Scope, row: Any) -> bool:
        return False

    async def no_author(method: Method, row: Any) -> None:
        return None

    def build(_: Parts) -> Service:
        descriptor = module.DESCRIPTOR.services_by_name[contract]
        return Service(
            servicers=[Servicer(descriptor=descriptor, implementation=implementation)],
            scope_resolver=nobody,
            author_resolver=no_author,
        )

    # Audited methods want a database; nothing is stored in it.
    return Blueprint(name=name, build=build, migrations=LEARNING.migrations)


PRODUCT = played("product", product_pb2, "ProductService", Products())  # type: ignore[abstract]
MATERIALS = played("materials", materials_pb2, "MaterialsService", Materials())  # type: ignore[abstract]
CENTRES = (CUSTOMER, LEARNING, PRODUCT, MATERIALS, WECOM)
PARTIES = (SMS, CALLS, WECOM_SERVER)
SERVICES = (BUS, SEQUENCER, *CENTRES, *PARTIES, BLUEPRINT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder), demo=True) as mesh:
            mesh.trust("loader", {"customer.import", "wecom.bind", "simulator.plan"})
            mesh.trust("action", {"bus.publish", "reach.hold", "reach.screen", "reach.evidence"})
            for blueprint in SERVICES:
                mesh.trust(blueprint.name, blueprint.rights | RIGHTS_OF_ALL)
            for blueprint in SERVICES:
                await mesh.start(blueprint)
            await load(mesh)
            yield mesh


async def load(mesh: Mesh) -> None:
    """Customers with their owners, and friends of theirs in WeCom."""
    customers = [
        customer_pb2.Customer(
            customer_id=customer_id,
            tier=customer_pb2.TIER_AUM20,
            owner_id=RM if customer_id != STRANGER else OTHER_RM,
            branch_id=BRANCH if customer_id != STRANGER else OTHER_BRANCH,
        )
        for customer_id in range(FIRST, FIRST + CUSTOMERS)
    ]
    centre = customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))
    await centre.ImportCustomers(customer_pb2.ImportCustomersRequest(customers=customers))
    bindings = [
        wecom_pb2.Binding(
            customer_id=one.customer_id, external_userid=f"wm{one.customer_id}", staff_id=RM
        )
        for one in customers[1:]
    ]
    wecom = wecom_pb2_grpc.WecomServiceStub(mesh.channel("wecom", caller="loader"))
    await wecom.BindContacts(wecom_pb2.BindContactsRequest(bindings=bindings))


_fresh = count(FIRST + 1)
_numbers = count(1)


@pytest.fixture
def customer() -> int:
    """A customer whom no other test contacts."""
    return next(_fresh)


def user(
    mesh: Mesh,
    scope: policy_pb2.Scope.ValueType = policy_pb2.SCOPE_OWN_BOOK,
    *,
    staff_id: int = RM,
    branch_id: int = BRANCH,
    permissions: Iterable[str] = DESK,
    service: str = "reach",
) -> Any:
    token = mesh.token(
        f"user{staff_id}",
        permissions=permissions,
        data_scope=scope,
        staff_id=staff_id,
        branch_id=branch_id,
    )
    return mesh.channel(service, token=token)


@pytest.fixture
def rm(mesh: Mesh) -> Stub:
    stub: Stub = reach_pb2_grpc.ReachServiceStub(user(mesh))
    return stub


@pytest.fixture
def action(mesh: Mesh) -> Stub:
    return reach_pb2_grpc.ReachServiceStub(mesh.channel("reach", caller="action"))


def sms(customer_id: int, **fields: Any) -> reach_pb2.SendSmsRequest:
    content = reach_pb2.Content(material_id=SCRIPT, slots={"greeting": "早上好"})
    return reach_pb2.SendSmsRequest(
        customer_id=customer_id, content=content, request_id=f"r{next(_numbers)}", **fields
    )


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def until(look: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> Any:
    """What `look` sees once it is what is wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while not wanted(found := await look()):  # noqa: ASYNC110 - state of a service
            await asyncio.sleep(0.01)
    return found


async def in_state(stub: Stub, contact: reach_pb2.Contact, state: int) -> reach_pb2.Contact:
    async def look() -> reach_pb2.Contact:
        request = reach_pb2.GetContactRequest(
            customer_id=contact.customer_id, contact_id=contact.contact_id
        )
        return (await stub.GetContact(request)).contact

    found: reach_pb2.Contact = await until(look, lambda one: bool(one.state == state))
    return found


async def publish(mesh: Mesh, *payloads: Any, key: int) -> None:
    """Tell events as the action centre does."""
    bus = bus_pb2_grpc.BusServiceStub(mesh.channel("bus", caller="action"))
    events = [event(payload, key=key) for payload in payloads]
    await bus.Append(bus_pb2.AppendRequest(events=events))


def task(
    task_id: int,
    customer_id: int,
    *,
    scene: int = 40,
    owner: int = RM,
    state: action_pb2.TaskState.ValueType = action_pb2.TASK_STATE_ASSIGNED,
) -> action_pb2.TaskChanged:
    told = action_pb2.Task(task_id=task_id, customer_id=customer_id, owner_id=owner, state=state)
    told.chain.scene_version, told.chain.trigger_id, told.chain.opportunity_id = scene, 41, 42
    told.update_time.FromDatetime(datetime.now(UTC))
    return action_pb2.TaskChanged(task=told)


async def test_a_text_message_goes_from_its_task_to_the_customer(
    mesh: Mesh, rm: Stub, customer: int
) -> None:
    """Admitted with its chain, accepted by the carrier, delivered; its text is as recorded."""
    await publish(mesh, task(300, customer), key=customer)
    made = (await rm.SendSms(sms(customer, task_id=300))).contact
    assert made.receipt.decision == reach_pb2.ADMISSION_DECISION_ADMITTED
    assert (made.chain.scene_version, made.chain.opportunity_id, made.chain.task_id) == (
        40,
        42,
        300,
    )
    arrived = await in_state(rm, made, reach_pb2.CONTACT_STATE_DELIVERED)
    assert arrived.reached
    carrier = simulator_pb2_grpc.SmsSimulatorServiceStub(mesh.channel("sms", caller="loader"))
    listed = await carrier.ListMessages(simulator_pb2.ListMessagesRequest(customer_ids=[customer]))
    assert [(one.contact_id, one.text_sha256) for one in listed.messages] == [
        (made.contact_id, made.text_sha256)
    ]


async def test_every_change_is_told_with_its_chain(mesh: Mesh, rm: Stub, customer: int) -> None:
    """The bus has them in their order, in the name of who asked."""
    await publish(mesh, task(301, customer), key=customer)
    made = (await rm.SendSms(sms(customer, task_id=301))).contact
    bus = bus_pb2_grpc.BusServiceStub(mesh.channel("bus", caller="wecom"))
    told: list[Event] = []

    async def poll() -> list[Event]:
        request = bus_pb2.PollRequest(group="test", topic="reach", member="1", max_events=500)
        request.settled.position = max((one.position for one in seen), default=0)
        answer = await bus.Poll(request)
        seen.extend(answer.events)
        told.extend(one.event for one in answer.events if one.event.key == str(customer))
        return told

    seen: list[bus_pb2.LoggedEvent] = []
    await until(poll, lambda events: len(events) >= 4)
    assert [one.actor for one in told[:2]] == [f"user{RM}"] * 2
    assert {one.chain.contact_id for one in told} == {made.contact_id}
    assert [reach_pb2.ContactChanged.FromString(one.payload).contact.state for one in told] == [
        reach_pb2.CONTACT_STATE_QUEUED,
        reach_pb2.CONTACT_STATE_DISPATCHED,
        reach_pb2.CONTACT_STATE_SENT,
        reach_pb2.CONTACT_STATE_DELIVERED,
    ]


async def test_a_call_reaches_the_customer_who_talks(mesh: Mesh, rm: Stub, customer: int) -> None:
    """A minute and a half is an effective call; nobody who answers is a failed one."""
    calls = simulator_pb2_grpc.CallSimulatorServiceStub(mesh.channel("calls", caller="loader"))
    plan = simulator_pb2.CallPlan(customer_id=customer, answered=True)
    plan.talk_time.FromTimedelta(timedelta(seconds=90))
    await calls.PlanCalls(simulator_pb2.PlanCallsRequest(plans=[plan]))
    made = (await rm.ClickToDial(reach_pb2.ClickToDialRequest(customer_id=customer))).contact
    ended = await in_state(rm, made, reach_pb2.CONTACT_STATE_DELIVERED)
    assert (ended.channel, ended.reached) == (reach_pb2.CHANNEL_CALL, True)
    assert ended.talk_time.ToTimedelta() == timedelta(seconds=90)
    silent = next(_fresh)
    made = (await rm.ClickToDial(reach_pb2.ClickToDialRequest(customer_id=silent))).contact
    ended = await in_state(rm, made, reach_pb2.CONTACT_STATE_FAILED)
    assert not ended.reached
    again = (await rm.SendSms(sms(silent))).contact
    assert again.receipt.decision == reach_pb2.ADMISSION_DECISION_ADMITTED


async def test_a_wecom_message_waits_for_its_member(mesh: Mesh, rm: Stub, customer: int) -> None:
    """It is sent once he confirms it in WeCom, and arrives."""
    content = reach_pb2.Content(material_id=SCRIPT)
    request = reach_pb2.SendWecomRequest(customer_id=customer, content=content)
    made = (await rm.SendWecom(request)).contact
    await in_state(rm, made, reach_pb2.CONTACT_STATE_AWAIT_STAFF_CONFIRM)
    desk = wecom_pb2_grpc.WecomServiceStub(user(mesh, service="wecom"))

    async def pending() -> list[str]:
        listed = await desk.ListMyMessageTasks(wecom_pb2.ListMyMessageTasksRequest())
        return [one.msgid for one in listed.message_tasks if one.contact_id == made.contact_id]

    msgids = await until(pending, lambda found: bool(found and found[0]))
    server = simulator_pb2_grpc.WecomSimulatorServiceStub(
        mesh.channel("wecom-server", caller="loader")
    )
    await server.ConfirmTasks(
        simulator_pb2.ConfirmTasksRequest(userid=f"staff-{RM}", msgids=msgids)
    )
    arrived = await in_state(rm, made, reach_pb2.CONTACT_STATE_DELIVERED)
    assert arrived.reached


async def test_a_customer_who_is_no_friend_cannot_be_written_to(rm: Stub) -> None:
    """WeCom has no such friend: the contact failed, and its place is given back."""
    request = reach_pb2.SendWecomRequest(
        customer_id=FIRST, content=reach_pb2.Content(material_id=SCRIPT)
    )
    made = (await rm.SendWecom(request)).contact
    ended = await in_state(rm, made, reach_pb2.CONTACT_STATE_FAILED)
    assert ended.result_code


async def test_a11_what_does_not_suit_is_denied_with_the_receipt_that_says_why(
    rm: Stub, customer: int
) -> None:
    """The answer is the denied contact; the caps are as before."""
    made = (await rm.SendSms(sms(customer, product_id=RISKY))).contact
    assert made.state == reach_pb2.CONTACT_STATE_DENIED
    assert made.receipt.reason == reach_pb2.ADMISSION_CHECK_SUITABILITY
    assert made.receipt.suitability_receipt_id
    details = {one.check: one.detail for one in made.receipt.checks}
    assert details[reach_pb2.ADMISSION_CHECK_SUITABILITY] == "RISK_TOO_HIGH"


async def test_a15_who_passes_the_exam_may_send_at_once(
    mesh: Mesh, rm: Stub, customer: int
) -> None:
    """The next attempt is admitted."""
    made = (await rm.SendSms(sms(customer, product_id=FUND))).contact
    assert made.receipt.reason == reach_pb2.ADMISSION_CHECK_QUALIFICATION
    hq = user(
        mesh,
        policy_pb2.SCOPE_ALL,
        staff_id=1,
        permissions={"learning.issue"},
        service="learning",
    )
    issued = learning_pb2.IssueQualificationRequest(staff_id=RM, code="FUND_SALES", source="EXAM")
    issued.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    await learning_pb2_grpc.LearningServiceStub(hq).IssueQualification(issued)
    made = (await rm.SendSms(sms(customer, product_id=FUND))).contact
    assert made.receipt.decision == reach_pb2.ADMISSION_DECISION_ADMITTED


async def test_the_cap_is_told_with_the_time_at_which_it_opens(rm: Stub, customer: int) -> None:
    """Why can't I contact him, and when can I."""
    await rm.SendSms(sms(customer))
    denied = (await rm.SendSms(sms(customer))).contact
    assert denied.receipt.reason == reach_pb2.ADMISSION_CHECK_CAP
    answer = await rm.CheckContactable(reach_pb2.CheckContactableRequest(customer_id=customer))
    assert len(answer.channels) == 4
    for one in answer.channels:
        assert not one.open
        assert [obstacle.check for obstacle in one.obstacles] == [reach_pb2.ADMISSION_CHECK_CAP]
        opens = one.next_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
        assert timedelta(days=6) < opens <= timedelta(days=7)


async def test_x1_the_same_request_again_is_the_same_contact(rm: Stub, customer: int) -> None:
    """Another body under its id is refused."""
    request = sms(customer)
    first = await rm.SendSms(request)
    assert await rm.SendSms(request) == first
    request.contact_class = reach_pb2.CONTACT_CLASS_SERVICE
    assert (await refusal(rm.SendSms(request))).reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("seconds", [-1, 86_401, 10**15])
async def test_a_call_lasts_from_nothing_to_a_day(mesh: Mesh, seconds: int) -> None:
    """What a party reports beyond that is its mistake, and changes nothing."""
    party = reach_pb2_grpc.ReachServiceStub(mesh.channel("reach", caller="calls"))
    report = reach_pb2.ReportDeliveryRequest(contact_id=1, state=reach_pb2.CONTACT_STATE_DELIVERED)
    report.talk_time.seconds = seconds
    refused = await refusal(party.ReportDelivery(report))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [one.field for one in refused.violations] == ["talk_time"]


async def test_customers_of_others_look_like_none(mesh: Mesh, rm: Stub) -> None:
    """To an adviser, and to a manager of another branch; his own branch's manager may look."""
    refused = await refusal(rm.SendSms(sms(STRANGER)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "OUT_OF_SCOPE")
    listing = reach_pb2.ListContactsRequest(customer_id=STRANGER)
    manager = reach_pb2_grpc.ReachServiceStub(
        user(mesh, policy_pb2.SCOPE_BRANCH, staff_id=20, branch_id=BRANCH)
    )
    assert (await refusal(manager.ListContacts(listing))).reason == "OUT_OF_SCOPE"
    own = reach_pb2_grpc.ReachServiceStub(
        user(mesh, policy_pb2.SCOPE_BRANCH, staff_id=21, branch_id=OTHER_BRANCH)
    )
    assert not (await own.ListContacts(listing)).contacts


async def test_a_task_of_somebody_else_is_not_worked(mesh: Mesh, rm: Stub, customer: int) -> None:
    """Nor one that is over."""
    await publish(mesh, task(310, customer, owner=OTHER_RM), key=customer)
    assert (await refusal(rm.SendSms(sms(customer, task_id=310)))).reason == "TASK_NOT_YOURS"
    done = task(311, customer, state=action_pb2.TASK_STATE_SUCCESS)
    await publish(mesh, done, key=customer)
    assert (await refusal(rm.SendSms(sms(customer, task_id=311)))).reason == "TASK_NOT_YOURS"


async def test_a_refusal_of_the_customer_holds_until_he_consents(
    rm: Stub, action: Stub, customer: int
) -> None:
    """His adviser records both; the action centre hears of it when it asks."""
    request = reach_pb2.RecordOptOutRequest(customer_id=customer, evidence="CALL")
    preference = (await rm.RecordOptOut(request)).preference
    assert preference.opted_out
    denied = (await rm.SendSms(sms(customer))).contact
    assert denied.receipt.reason == reach_pb2.ADMISSION_CHECK_OPT_OUT
    asked = reach_pb2.ListOptedOutRequest(customer_ids=[FIRST, customer])
    assert (await action.ListOptedOut(asked)).customer_ids == [customer]
    consent = reach_pb2.RecordConsentRequest(customer_id=customer, channel=reach_pb2.CHANNEL_SMS)
    assert (await rm.RecordConsent(consent)).preference.consented
    admitted = (await rm.SendSms(sms(customer))).contact
    assert admitted.receipt.decision == reach_pb2.ADMISSION_DECISION_ADMITTED
    stranger = reach_pb2.RecordOptOutRequest(customer_id=STRANGER)
    assert (await refusal(rm.RecordOptOut(stranger))).reason == "OUT_OF_SCOPE"


async def test_a_customer_s_quiet_hours_defer(rm: Stub, customer: int) -> None:
    """All day but the minute that is longest away: it goes out when that comes."""
    local = datetime.now(UTC) + timedelta(hours=8)
    minute = (local.hour * 60 + local.minute - 2) % 1440
    hours = reach_pb2.SetQuietHoursRequest(
        customer_id=customer, from_minute=(minute + 1) % 1440, to_minute=minute
    )
    await rm.SetQuietHours(hours)
    made = (await rm.SendSms(sms(customer))).contact
    assert made.state == reach_pb2.CONTACT_STATE_DEFERRED
    assert made.receipt.next_time.ToDatetime(tzinfo=UTC) > datetime.now(UTC) + timedelta(hours=23)
    taken_back = await rm.CancelContact(
        reach_pb2.CancelContactRequest(customer_id=customer, contact_id=made.contact_id)
    )
    assert taken_back.contact.state == reach_pb2.CONTACT_STATE_CANCELLED


async def test_x14_a_stopped_scene_sends_nothing_until_it_is_resumed(
    mesh: Mesh, rm: Stub, action: Stub, customer: int
) -> None:
    """New attempts are denied; once it runs they are admitted."""
    await publish(mesh, task(320, customer, scene=77), key=customer)
    await action.HoldScene(reach_pb2.HoldSceneRequest(scene_version=77, held=True))
    denied = (await rm.SendSms(sms(customer, task_id=320))).contact
    assert denied.receipt.reason == reach_pb2.ADMISSION_CHECK_SCENE_RUNS
    await action.HoldScene(reach_pb2.HoldSceneRequest(scene_version=77, held=False))
    made = (await rm.SendSms(sms(customer, task_id=320))).contact
    await in_state(rm, made, reach_pb2.CONTACT_STATE_DELIVERED)
    evidence = await action.GetEvidence(reach_pb2.GetEvidenceRequest(contact_id=made.contact_id))
    assert evidence.contact.reached


async def test_x14_versions_of_a_scene_stop_and_go_on_together(
    mesh: Mesh, rm: Stub, action: Stub, customer: int
) -> None:
    """Within one call, as of when it was decided: an older one that comes late changes nothing."""
    await publish(mesh, task(330, customer, scene=78), key=customer)
    versions = range(79, 98)
    hold = reach_pb2.HoldSceneRequest(scene_version=98, scene_versions=[78, *versions], held=True)
    hold.time.GetCurrentTime()
    await action.HoldScene(hold)
    denied = (await rm.SendSms(sms(customer, task_id=330))).contact
    assert denied.receipt.reason == reach_pb2.ADMISSION_CHECK_SCENE_RUNS
    release = reach_pb2.HoldSceneRequest(scene_version=98, scene_versions=[78, *versions])
    release.time.GetCurrentTime()
    await action.HoldScene(release)
    await action.HoldScene(hold)
    made = (await rm.SendSms(sms(customer, task_id=330))).contact
    await in_state(rm, made, reach_pb2.CONTACT_STATE_DELIVERED)


async def test_contacts_are_listed_newest_first_in_pages(rm: Stub, customer: int) -> None:
    """Denied attempts among them."""
    made = [(await rm.SendSms(sms(customer))).contact.contact_id for _ in range(5)]
    listed: list[int] = []
    token = ""
    for _ in range(3):
        page = await rm.ListContacts(
            reach_pb2.ListContactsRequest(customer_id=customer, page_size=2, page_token=token)
        )
        listed += [one.contact_id for one in page.contacts]
        token = page.next_page_token
    assert (listed, token) == (made[::-1], "")


async def test_x9_a_policy_is_approved_by_another_person(mesh: Mesh, rm: Stub) -> None:
    """The author is refused by the mesh; the checker puts it in force."""
    policy = reach_pb2.ContactPolicy(caps=[])
    policy.caps.add(limit=1).window.FromTimedelta(timedelta(days=7))
    rights = {"reach.policy.write", "reach.policy.approve"}
    author, checker = (
        reach_pb2_grpc.ReachServiceStub(
            user(mesh, policy_pb2.SCOPE_ALL, staff_id=staff, permissions=rights)
        )
        for staff in (31, 32)
    )
    drafted = await author.DraftPolicy(reach_pb2.DraftPolicyRequest(contact_policy=policy))
    version = drafted.contact_policy.definition.version
    await author.SubmitPolicy(reach_pb2.SubmitPolicyRequest(version=version))
    approval = reach_pb2.ApprovePolicyRequest(version=version)
    assert (await refusal(author.ApprovePolicy(approval))).reason == "CHECKER_IS_MAKER"
    await checker.ApprovePolicy(approval)
    in_force = (await rm.GetPolicy(reach_pb2.GetPolicyRequest())).contact_policy
    assert (in_force.definition.version, len(in_force.caps)) == (version, 1)


async def test_x7_a_number_in_a_slot_is_refused(rm: Stub, customer: int) -> None:
    """And is not repeated in the refusal."""
    request = sms(customer)
    request.content.slots["greeting"] = "13800138000"
    refused = await refusal(rm.SendSms(request))
    assert refused.reason == "PERSONAL_DATA_IN_SLOT"
    assert "13800138000" not in str(refused)
