"""The action centre over real sockets: bus, sequencer, Ark and customer centre are real.

The decision and the reach centre are played by small servicers of their contracts,
so that a test can say what they answer and see what they were asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias, TypeVar

import grpc
import pytest
import pytest_asyncio

from centers.action.app import BLUEPRINT
from centers.ark.app import BLUEPRINT as ARK
from centers.customer.app import BLUEPRINT as CUSTOMER
from engine.action.v1 import action_pb2, action_pb2_grpc
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.decision.v1 import decision_pb2
from engine.mesh.v1 import ownership_pb2, policy_pb2
from engine.reach.v1 import reach_pb2
from mesh import context
from mesh.bus.app import BLUEPRINT as BUS
from mesh.context import Principal, Scope
from mesh.contract import Method
from mesh.errors import ErrorView, MeshError, MeshReason
from mesh.events import event
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

SceneStub: TypeAlias = "action_pb2_grpc.SceneServiceAsyncStub"
TaskStub: TypeAlias = "action_pb2_grpc.TaskServiceAsyncStub"

RM, OTHER_RM, AGENT, ROBOT = 7, 8, 900, 980
BRANCH, OTHER_BRANCH = 3, 4
AMOUNT_FEN = 12_345_600
BACKTEST = 1
DAYS = 90

T = TypeVar("T")


class Played:
    """Methods that a test does not play."""

    def __getattr__(self, name: str) -> Any:
        async def unwritten(_request: Any, _: object) -> Any:
            raise MeshError(MeshReason.UNKNOWN_METHOD)

        return unwritten


@dataclass
class Decision(Played):
    """Tells triggers, and knows their amounts and the customers of one backtest."""

    parts: list[Parts] = field(default_factory=list)
    scene_id: int = 0
    customer_ids: Sequence[int] = ()
    asked: list[str] = field(default_factory=list)
    fired: int = 0

    async def GetTrigger(self, request: Any, _: object) -> Any:
        self.asked.append(context.current().on_behalf_of)
        trigger = decision_pb2.Trigger(trigger_id=request.trigger_id)
        return decision_pb2.GetTriggerResponse(trigger=trigger, amount_fen=AMOUNT_FEN)

    async def ListBacktestCustomers(self, request: Any, _: object) -> Any:
        if request.backtest_id != BACKTEST:
            raise MeshError(MeshReason.OUT_OF_SCOPE)
        start, size = int(request.page_token or 0), 20
        rest = self.customer_ids[start : start + size]
        more = start + size < len(self.customer_ids)
        return decision_pb2.ListBacktestCustomersResponse(
            customer_ids=rest,
            days=DAYS,
            scene_id=self.scene_id,
            next_page_token=str(start + size) if more else "",
        )

    async def fire(self, scene_id: int, *customer_ids: int) -> list[decision_pb2.Trigger]:
        """Tell that a model fired on these customers."""
        triggers = []
        for customer_id in customer_ids:
            self.fired += 1
            trigger = decision_pb2.Trigger(
                trigger_id=self.fired, scene_id=scene_id, customer_id=customer_id
            )
            trigger.occurred_time.FromDatetime(datetime.now(UTC))
            triggers.append(trigger)
        await self._publish(
            [(decision_pb2.TriggerFired(trigger=one), one.customer_id) for one in triggers]
        )
        return triggers

    async def reverse(self, trigger: decision_pb2.Trigger) -> None:
        """Tell that the trigger's event was taken back."""
        told = decision_pb2.TriggerReversed(trigger=trigger, reason="REVOKED")
        await self._publish([(told, trigger.customer_id)])

    async def _publish(self, told: Sequence[tuple[Any, int]]) -> None:
        async with self.parts[0].store.transaction() as tx:
            for payload, key in told:
                tx.publish(event(payload, key=key))


@dataclass
class Reach(Played):
    """Knows who refuses and which contacts there were; records what it is asked."""

    refusing: set[int] = field(default_factory=set)
    contacts: dict[int, reach_pb2.Contact] = field(default_factory=dict)
    holds: list[tuple[list[int], bool]] = field(default_factory=list)
    screened: list[int] = field(default_factory=list)
    screens_for_s: float = 0.0
    chains: list[int] = field(default_factory=list)
    down: bool = False

    async def ListOptedOut(self, request: Any, _: object) -> Any:
        self.screened.append(len(request.customer_ids))
        await asyncio.sleep(self.screens_for_s)
        found = [one for one in request.customer_ids if one in self.refusing]
        return reach_pb2.ListOptedOutResponse(customer_ids=found)

    async def HoldScene(self, request: Any, _: object) -> Any:
        if self.down:
            raise MeshError(MeshReason.UNAVAILABLE)
        self.holds.append(([request.scene_version, *request.scene_versions], request.held))
        return reach_pb2.HoldSceneResponse()

    async def GetEvidence(self, request: Any, _: object) -> Any:
        self.chains.append(context.current().chain.task_id)
        if request.contact_id not in self.contacts:
            raise MeshError(MeshReason.OUT_OF_SCOPE)
        return reach_pb2.GetEvidenceResponse(contact=self.contacts[request.contact_id])


async def everybody(principal: Principal, scope: Scope, row: Any) -> bool:
    return True


async def nobody(method: Method, row: Any) -> str | None:
    return None


def played(name: str, descriptor: Any, servicer: Any) -> Blueprint:
    """A service of this name that is played; it has a store for what it publishes."""

    def build(parts: Parts) -> Service:
        if isinstance(servicer, Decision):
            servicer.parts.append(parts)
        return Service(
            servicers=[Servicer(descriptor=descriptor, implementation=servicer)],
            scope_resolver=everybody,
            author_resolver=nobody,
        )

    return Blueprint(name=name, build=build, migrations=CUSTOMER.migrations)


@dataclass
class Bank:
    """What the tests of this module share; tokens of customers by their number."""

    mesh: Mesh
    decision: Decision
    reach: Reach
    tokens: dict[int, int] = field(default_factory=dict)

    def scenes(self, user: str, *permissions: str) -> SceneStub:
        given = permissions or ("read", "write", "launch")
        token = self.mesh.token(
            user,
            permissions={f"action.scene.{one}" for one in given},
            data_scope=policy_pb2.SCOPE_ALL,
        )
        return action_pb2_grpc.SceneServiceStub(self.mesh.channel("action", token=token))

    def desk(
        self,
        staff_id: int,
        branch_id: int = BRANCH,
        *,
        user: str = "",
        scope: policy_pb2.Scope.ValueType = policy_pb2.SCOPE_OWN_BOOK,
        permissions: Sequence[str] = ("action.work", "action.read", "customer.read", "ark.query"),
    ) -> TaskStub:
        token = self.mesh.token(
            user or f"user{staff_id}",
            permissions=permissions,
            data_scope=scope,
            staff_id=staff_id,
            branch_id=branch_id,
        )
        return action_pb2_grpc.TaskServiceStub(self.mesh.channel("action", token=token))

    def manager(self, branch_id: int = BRANCH) -> TaskStub:
        return self.desk(
            30 + branch_id,
            branch_id,
            scope=policy_pb2.SCOPE_BRANCH,
            permissions=("action.read", "action.manage", "customer.read", "ark.query"),
        )

    def robot(self, user: str = "bot001") -> TaskStub:
        rights = ("action.read", "action.work", "action.lease", "ark.query")
        return self.desk(ROBOT, 0, user=user, permissions=rights)

    async def launched(self, **fields: Any) -> action_pb2.Scene:
        """A scene that runs, brought there by a maker and a checker."""
        maker, checker = self.scenes("hq001"), self.scenes("co001", "approve")
        scene_id = (await self.drafted(**fields)).definition.definition_id
        await self.simulated(scene_id)
        await maker.SubmitScene(action_pb2.SubmitSceneRequest(scene_id=scene_id))
        await checker.ApproveScene(action_pb2.ApproveSceneRequest(scene_id=scene_id))
        answer = await maker.LaunchScene(action_pb2.LaunchSceneRequest(scene_id=scene_id))
        return answer.scene

    async def drafted(self, scene_id: int = 0, **fields: Any) -> action_pb2.Scene:
        given: dict[str, Any] = {
            "name": "Large inflow",
            "objective": "inflow.retain",
            "success_metric": "net_external_inflow",
            "nodes": [action_pb2.Node(name="call", guidance="ask what the money is for")],
        }
        scene = action_pb2.Scene(**(given | fields))
        scene.definition.definition_id = scene_id
        request = action_pb2.DraftSceneRequest(scene=scene)
        return (await self.scenes("hq001").DraftScene(request)).scene

    async def simulated(self, scene_id: int) -> action_pb2.Simulation:
        self.decision.scene_id = scene_id
        self.decision.customer_ids = sorted(self.tokens.values())
        request = action_pb2.SimulateSceneRequest(scene_id=scene_id, backtest_id=BACKTEST)
        return (await self.scenes("hq001").SimulateScene(request)).simulation

    async def tasks(self, desk: TaskStub, scene_id: int, count: int) -> list[action_pb2.Task]:
        """The open tasks of the desk's owner, once there are so many."""
        request = action_pb2.ListMyTasksRequest(scene_id=scene_id, page_size=1_000)

        async def look() -> list[action_pb2.Task]:
            return list((await desk.ListMyTasks(request)).tasks)

        return await eventually(look, lambda found: len(found) == count)

    def contact(self, task: action_pb2.Task, **fields: Any) -> int:
        contact_id = len(self.reach.contacts) + 1
        self.reach.contacts[contact_id] = reach_pb2.Contact(
            contact_id=contact_id, customer_id=task.customer_id, chain=task.chain, **fields
        )
        return contact_id


async def eventually(look: Callable[[], Awaitable[T]], enough: Callable[[T], bool]) -> T:
    """What `look` answers once it is enough; the test's time-out is the bound."""
    while True:
        found = await look()
        if enough(found):
            return found
        await asyncio.sleep(0.005)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank() -> AsyncIterator[Bank]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            bank = Bank(mesh, Decision(), Reach())
            decisions = decision_pb2.DESCRIPTOR.services_by_name["DecisionService"]
            contacts = reach_pb2.DESCRIPTOR.services_by_name["ReachService"]
            decision = played("decision", decisions, bank.decision)
            reach = played("reach", contacts, bank.reach)
            blueprints = (BUS, SEQUENCER, ARK, CUSTOMER, decision, reach, BLUEPRINT)
            mesh.trust("loader", {"ark.import", "customer.import"})
            for blueprint in blueprints:
                mesh.trust(blueprint.name, blueprint.rights | {"bus.publish", "bus.consume"})
            for blueprint in blueprints:
                await mesh.start(blueprint)
            await fill(bank)
            yield bank


async def fill(bank: Bank) -> None:
    """Sixty customers: of two managers of the branch, of an agent and of the robots' pool."""
    numbers = range(1, 61)
    records = [
        ark_pb2.CustomerRecord(
            cif=f"{10**9 + number}",
            name="王小明",
            phone=f"138{number:08}",
            id_card=f"33010219900101{number:04}",
            aum_fen=number * 10_000_000,
        )
        for number in numbers
    ]
    ark = ark_pb2_grpc.ArkServiceStub(bank.mesh.channel("ark", caller="loader"))
    answer = await ark.ImportCustomers(ark_pb2.ImportCustomersRequest(records=records))
    bank.tokens = {n: one.customer_id for n, one in zip(numbers, answer.tokens, strict=True)}
    owners = (
        (RM, BRANCH, ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER),
        (OTHER_RM, BRANCH, ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER),
        (AGENT, 0, ownership_pb2.OWNER_KIND_DIRECT_OPERATIONS),
        (ROBOT, 0, ownership_pb2.OWNER_KIND_ROBOT),
    )
    customers = []
    for number, token in bank.tokens.items():
        owner_id, branch_id, kind = owners[number % 4]
        customers.append(
            customer_pb2.Customer(
                customer_id=token,
                tier=customer_pb2.TIER_AUM50,
                owner_id=owner_id,
                branch_id=branch_id,
                owner_kind=kind,
            )
        )
    loader = customer_pb2_grpc.CustomerServiceStub(bank.mesh.channel("customer", caller="loader"))
    await loader.ImportCustomers(customer_pb2.ImportCustomersRequest(customers=customers))


def taken(bank: Bank, remainder: int, count: int = 1) -> list[int]:
    """Customers of one owner whom no other test uses: each is given once."""
    numbers = [number for number in sorted(bank.tokens) if number % 4 == remainder][:count]
    return [bank.tokens.pop(number) for number in numbers]


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_a_trigger_becomes_a_task_that_converts(bank: Bank) -> None:
    """From the draft to the conversion, over bus, customer centre, Ark and reach centre."""
    scene = await bank.launched()
    scene_id = scene.definition.definition_id
    (customer_id,) = taken(bank, 0)
    (trigger,) = await bank.decision.fire(scene_id, customer_id)
    desk = bank.desk(RM)
    (task,) = await bank.tasks(desk, scene_id, 1)
    assert (task.owner_id, task.branch_id, task.customer_id) == (RM, BRANCH, customer_id)
    assert task.chain.trigger_id == trigger.trigger_id
    assert task.chain.scene_version == scene.scene_version

    view = (await desk.GetTask(action_pb2.GetTaskRequest(task_id=task.task_id))).task_view
    assert view.customer_name == "王**"
    assert view.customer_phone.startswith("138****")
    assert view.amount_fen == AMOUNT_FEN
    assert view.occurred_time == trigger.occurred_time
    assert (view.node.guidance, view.scene_name) == ("ask what the money is for", "Large inflow")

    await desk.StartTask(action_pb2.StartTaskRequest(task_id=task.task_id))
    contact_id = bank.contact(task, reached=True, state=reach_pb2.CONTACT_STATE_DELIVERED)
    done = await desk.CompleteTask(
        action_pb2.CompleteTaskRequest(
            task_id=task.task_id, outcome=action_pb2.OUTCOME_INTERESTED, contact_id=contact_id
        )
    )
    assert done.task.state == action_pb2.TASK_STATE_SUCCESS
    assert bank.reach.chains[-1] == task.task_id
    listing = action_pb2.ListOpportunitiesRequest(scene_id=scene_id)
    (made,) = (await bank.scenes("hq001").ListOpportunities(listing)).opportunities
    assert made.state == action_pb2.OPPORTUNITY_STATE_CONVERTED


async def test_a_task_is_seen_by_its_owner_and_his_branch_alone(bank: Bank) -> None:
    """Others hear the same as of a task that does not exist; the amount is the owner's alone."""
    scene_id = (await bank.launched(objective="scope.test")).definition.definition_id
    await bank.decision.fire(scene_id, *taken(bank, 0))
    (task,) = await bank.tasks(bank.desk(RM), scene_id, 1)
    get = action_pb2.GetTaskRequest(task_id=task.task_id)
    view = (await bank.manager().GetTask(get)).task_view
    assert (view.customer_name, view.amount_fen) == ("王**", 0)
    for other in (bank.desk(OTHER_RM), bank.manager(OTHER_BRANCH), bank.desk(AGENT, 0)):
        assert (await refusal(other.GetTask(get))).reason == "OUT_OF_SCOPE"
    none = action_pb2.GetTaskRequest(task_id=2**60)
    assert (await refusal(bank.desk(RM).GetTask(none))).reason == "OUT_OF_SCOPE"
    start = action_pb2.StartTaskRequest(task_id=task.task_id)
    assert (await refusal(bank.manager().StartTask(start))).reason == "PERMISSION_DENIED"


async def test_a_view_without_the_right_to_customers_shows_none(bank: Bank) -> None:
    """A robot sees what to do, and no name."""
    scene_id = (await bank.launched(objective="robot.view")).definition.definition_id
    await bank.decision.fire(scene_id, *taken(bank, 3))
    (task,) = await bank.tasks(bank.robot(), scene_id, 1)
    view = (await bank.robot().GetTask(action_pb2.GetTaskRequest(task_id=task.task_id))).task_view
    assert (view.customer_name, view.customer_phone) == ("", "")
    assert view.amount_fen == AMOUNT_FEN


async def test_many_triggers_are_screened_together(bank: Bank) -> None:
    """What arrives at once is asked of the reach centre in few calls, and each gets its due."""
    scene_id = (await bank.launched(objective="burst.test")).definition.definition_id
    customers = [*taken(bank, 0, 3), *taken(bank, 1, 3), *taken(bank, 2, 3), *taken(bank, 3, 3)]
    bank.reach.refusing |= {customers[0], customers[3]}
    bank.reach.screened.clear()
    bank.reach.screens_for_s = 0.2  # so that all come while one call is under way
    await bank.decision.fire(scene_id, *customers)
    desks = {RM: 2, OTHER_RM: 2, AGENT: 3}
    for staff_id, count in desks.items():
        await bank.tasks(bank.desk(staff_id), scene_id, count)
    await bank.tasks(bank.robot(), scene_id, 3)
    assert sum(bank.reach.screened) == len(customers)
    assert len(bank.reach.screened) < len(customers) / 2


async def test_a_reversal_takes_the_task_off_the_desk(bank: Bank) -> None:
    """In the order in which the customer's events were told."""
    scene_id = (await bank.launched(objective="reversal.test")).definition.definition_id
    (trigger,) = await bank.decision.fire(scene_id, *taken(bank, 0))
    await bank.decision.reverse(trigger)
    cancelled = action_pb2.ListMyTasksRequest(
        scene_id=scene_id, state=action_pb2.TASK_STATE_CANCELLED
    )
    desk = bank.desk(RM)

    async def look() -> Any:
        return (await desk.ListMyTasks(cancelled)).tasks

    (task,) = await eventually(look, bool)
    assert task.chain.trigger_id == trigger.trigger_id


async def test_the_author_does_not_approve_his_scene(bank: Bank) -> None:
    """The chain refuses him before the centre is asked."""
    scene_id = (await bank.drafted()).definition.definition_id
    await bank.simulated(scene_id)
    await bank.scenes("hq001").SubmitScene(action_pb2.SubmitSceneRequest(scene_id=scene_id))
    author = bank.scenes("hq001", "approve")
    approve = action_pb2.ApproveSceneRequest(scene_id=scene_id)
    assert (await refusal(author.ApproveScene(approve))).reason == "CHECKER_IS_MAKER"


async def test_a_simulation_of_an_unknown_backtest_is_refused(bank: Bank) -> None:
    """And says which of the two ids leads nowhere."""
    scene_id = (await bank.drafted()).definition.definition_id
    request = action_pb2.SimulateSceneRequest(scene_id=scene_id, backtest_id=BACKTEST + 1)
    view = await refusal(bank.scenes("hq001").SimulateScene(request))
    assert view.reason == "BACKTEST_UNKNOWN"


async def test_a_simulation_asks_the_real_owners(bank: Bank) -> None:
    """Page by page; the kinds are those of the customer centre."""
    scene_id = (await bank.drafted(objective="simulation.test")).definition.definition_id
    simulation = await bank.simulated(scene_id)
    assert simulation.customers == len(bank.tokens) > 20  # more than a page of the one who plays
    expected = {
        "OWNER_KIND_RELATIONSHIP_MANAGER": sum(n % 4 in (0, 1) for n in bank.tokens),
        "OWNER_KIND_DIRECT_OPERATIONS": sum(n % 4 == 2 for n in bank.tokens),
        "OWNER_KIND_ROBOT": sum(n % 4 == 3 for n in bank.tokens),
    }
    assert dict(simulation.tasks_by_kind) == expected
    assert simulation.tasks == sum(expected.values())


async def test_x1_the_same_request_has_one_effect_and_one_answer(bank: Bank) -> None:
    """A draft sent twice is one scene; the same key with another body is refused."""
    scenes = bank.scenes("hq001")
    scene = action_pb2.Scene(
        name="Once",
        objective="once",
        success_metric="m",
        nodes=[action_pb2.Node(name="call")],
    )
    request = action_pb2.DraftSceneRequest(scene=scene, request_id="draft-1")
    first = await scenes.DraftScene(request)
    assert await scenes.DraftScene(request) == first
    request.scene.name = "Twice"
    assert (await refusal(scenes.DraftScene(request))).reason == "REQUEST_ID_REUSED"


async def test_x14_pausing_stops_tasks_and_holds_contacts(bank: Bank) -> None:
    """Also when the reach centre cannot be reached: then its hold is left to the event."""
    scene = await bank.launched(objective="pause.test")
    scene_id = scene.definition.definition_id
    scenes = bank.scenes("hq001")
    pause = action_pb2.PauseSceneRequest(scene_id=scene_id)
    bank.reach.down = True
    try:
        paused = (await scenes.PauseScene(pause)).scene
    finally:
        bank.reach.down = False
    assert paused.status == action_pb2.SCENE_STATUS_PAUSED
    await bank.decision.fire(scene_id, *taken(bank, 1))
    suppressed = action_pb2.ListOpportunitiesRequest(
        scene_id=scene_id, state=action_pb2.OPPORTUNITY_STATE_SUPPRESSED
    )

    async def look() -> Any:
        return (await scenes.ListOpportunities(suppressed)).opportunities

    (made,) = await eventually(look, bool)
    assert made.suppress_reason == action_pb2.SUPPRESS_REASON_SCENE_NOT_RUNNING
    await scenes.PauseScene(pause)
    assert bank.reach.holds[-1] == ([scene.scene_version], True)
    await scenes.ResumeScene(action_pb2.ResumeSceneRequest(scene_id=scene_id))
    assert bank.reach.holds[-1] == ([scene.scene_version], False)


async def test_x14_a_pause_that_is_asked_for_again_holds_before_it_answers(bank: Bank) -> None:
    """The first answer was lost, and with it the hold on all versions."""
    first = await bank.launched(objective="pause.again")
    scene_id = first.definition.definition_id
    second = await bank.launched(scene_id=scene_id, objective="pause.again")
    scenes = bank.scenes("hq001")
    pause = action_pb2.PauseSceneRequest(scene_id=scene_id, request_id="pause-again")
    bank.reach.down = True
    try:
        answer = await scenes.PauseScene(pause)
    finally:
        bank.reach.down = False
    bank.reach.holds.clear()
    assert await scenes.PauseScene(pause) == answer
    assert bank.reach.holds == [([second.scene_version, first.scene_version], True)]


async def test_going_back_is_one_call(bank: Bank) -> None:
    """It answers what runs now and how many tasks were recalled."""
    first = await bank.launched(objective="rollback.test")
    scene_id = first.definition.definition_id
    second = await bank.launched(scene_id=scene_id, objective="rollback.test", name="Edited")
    await bank.decision.fire(scene_id, *taken(bank, 1, 2))
    await bank.tasks(bank.desk(OTHER_RM), scene_id, 2)
    request = action_pb2.RollBackSceneRequest(scene_id=scene_id)
    back = await bank.scenes("hq001").RollBackScene(request)
    assert (back.recalled, back.scene.scene_version) == (2, first.scene_version)
    get = action_pb2.GetSceneRequest(scene_id=scene_id, version=2)
    gone = (await bank.scenes("hq001").GetScene(get)).scene
    assert gone.scene_version == second.scene_version
    assert gone.status == action_pb2.SCENE_STATUS_SUPERSEDED
    assert await bank.tasks(bank.desk(OTHER_RM), scene_id, 0) == []


async def test_a_branch_manager_moves_tasks_within_his_branch(bank: Bank) -> None:
    """The new owner has it at once, the old one no more, and the history shows both."""
    scene_id = (await bank.launched(objective="reassign.test")).definition.definition_id
    await bank.decision.fire(scene_id, *taken(bank, 0))
    (task,) = await bank.tasks(bank.desk(RM), scene_id, 1)
    request = action_pb2.ReassignTaskRequest(
        task_id=task.task_id,
        owner_kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
        owner_id=OTHER_RM,
        branch_id=BRANCH,
        reason="LEAVE",
    )
    other = bank.manager(OTHER_BRANCH)
    assert (await refusal(other.ReassignTask(request))).reason == "OUT_OF_SCOPE"
    await bank.manager().ReassignTask(request)
    await bank.tasks(bank.desk(OTHER_RM), scene_id, 1)
    await bank.tasks(bank.desk(RM), scene_id, 0)
    start = action_pb2.StartTaskRequest(task_id=task.task_id)
    assert (await refusal(bank.desk(RM).StartTask(start))).reason == "OUT_OF_SCOPE"
    listing = action_pb2.ListTaskOwnersRequest(task_id=task.task_id)
    owners = (await bank.manager().ListTaskOwners(listing)).owners
    assert [(one.owner_id, one.reason) for one in owners] == [(RM, "CREATED"), (OTHER_RM, "LEAVE")]
    assert owners[0].end_time == owners[1].start_time
    assert not owners[1].HasField("end_time")


async def test_who_gets_a_task_from_anothers_desk_does_not_see_the_amount(bank: Bank) -> None:
    """It is shown to the customer's owner alone, and that he stays."""
    scene_id = (await bank.launched(objective="moved.amount")).definition.definition_id
    await bank.decision.fire(scene_id, *taken(bank, 0))
    (task,) = await bank.tasks(bank.desk(RM), scene_id, 1)
    await bank.manager().ReassignTask(
        action_pb2.ReassignTaskRequest(
            task_id=task.task_id,
            owner_kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
            owner_id=OTHER_RM,
            branch_id=BRANCH,
        )
    )
    get = action_pb2.GetTaskRequest(task_id=task.task_id)
    view = (await bank.desk(OTHER_RM).GetTask(get)).task_view
    assert view.task.owner_id == OTHER_RM
    assert (view.customer_name, view.amount_fen) == ("", 0)


async def test_robots_of_a_pool_lease_its_tasks(bank: Bank) -> None:
    """Each task to one of them at a time; whoever has no pool leases nothing."""
    scene_id = (await bank.launched(objective="lease.test")).definition.definition_id
    await bank.decision.fire(scene_id, *taken(bank, 3, 2))
    await bank.tasks(bank.robot(), scene_id, 2)
    lease = action_pb2.LeaseTasksRequest(max_tasks=200, request_id="lease-1")
    lent = (await bank.robot("bot001").LeaseTasks(lease)).tasks
    mine = [task for task in lent if task.scene_id == scene_id]
    assert len(mine) == 2
    assert (await bank.robot("bot001").LeaseTasks(lease)).tasks == lent
    assert (await bank.robot("bot002").LeaseTasks(lease)).tasks == []
    start = action_pb2.StartTaskRequest(task_id=mine[0].task_id)
    assert (await refusal(bank.robot("bot002").StartTask(start))).reason == "LEASE_HELD"
    begun = (await bank.robot("bot001").StartTask(start)).task
    assert begun.state == action_pb2.TASK_STATE_IN_PROGRESS
    assert (await refusal(bank.desk(RM).LeaseTasks(lease))).reason == "PERMISSION_DENIED"


async def test_evidence_that_the_reach_centre_does_not_know_is_refused(bank: Bank) -> None:
    """So is none at all."""
    scene_id = (await bank.launched(objective="evidence.test")).definition.definition_id
    await bank.decision.fire(scene_id, *taken(bank, 2))
    desk = bank.desk(AGENT, 0)
    (task,) = await bank.tasks(desk, scene_id, 1)
    complete = action_pb2.CompleteTaskRequest(
        task_id=task.task_id, outcome=action_pb2.OUTCOME_UNREACHABLE
    )
    assert (await refusal(desk.CompleteTask(complete))).reason == "EVIDENCE_REQUIRED"
    complete.contact_id = 404
    assert (await refusal(desk.CompleteTask(complete))).reason == "EVIDENCE_MISMATCH"
    complete.contact_id = bank.contact(task, state=reach_pb2.CONTACT_STATE_FAILED)
    done = (await desk.CompleteTask(complete)).task
    assert done.state == action_pb2.TASK_STATE_UNREACHABLE
