"""Tasks end with what proves it, and nodes follow one another."""

from __future__ import annotations

from typing import Any

import pytest

from centers.action.domain import Task, Worker
from centers.action.errors import ActionReason
from engine.action.v1 import action_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.reach.v1 import reach_pb2
from mesh.errors import MeshError, MeshReason, Reason
from tests.unit.centers.action.office import AGENT_KIND, Office, scene

INTERESTED = action_pb2.OUTCOME_INTERESTED
NO_INTENT = action_pb2.OUTCOME_NO_INTENT
UNREACHABLE = action_pb2.OUTCOME_UNREACHABLE


@pytest.fixture
async def scene_id(office: Office) -> int:
    return (await office.launched(scene(nodes=3))).definition.definition_id


@pytest.fixture
async def task(office: Office, scene_id: int) -> Task:
    return await office.task_for(scene_id, 11)


async def refused(call: Any) -> Reason:
    with pytest.raises(MeshError) as failed:
        await call
    return failed.value.reason


async def state_of(office: Office, task: Task) -> str:
    made = await office.opportunities.get(task.opportunity_id)
    assert made is not None
    return action_pb2.OpportunityState.Name(made.state).removeprefix("OPPORTUNITY_STATE_")


async def test_nodes_follow_one_another_to_conversion(office: Office, task: Task) -> None:
    """Each interested answer opens the next node on the same desk; the last one converts."""
    for node in range(3):
        (present,) = await office.open_tasks()
        assert (present.node, present.owner) == (node, task.owner)
        assert present.opportunity_id == task.opportunity_id
        assert await state_of(office, task) == "TASKED"
        await office.complete(present)
    assert await office.open_tasks() == []
    assert await state_of(office, task) == "CONVERTED"
    for done in await office.all_tasks():
        assert done.state == action_pb2.TASK_STATE_SUCCESS
        assert len(await office.desk.owners.of(done.task_id)) == 1


@pytest.mark.parametrize(
    ("outcome", "state", "opportunity"),
    [
        (NO_INTENT, action_pb2.TASK_STATE_NO_INTENT, "LOST"),
        (UNREACHABLE, action_pb2.TASK_STATE_UNREACHABLE, "TASKED"),
    ],
)
async def test_other_outcomes_open_no_further_node(
    office: Office,
    task: Task,
    outcome: action_pb2.Outcome.ValueType,
    state: action_pb2.TaskState.ValueType,
    opportunity: str,
) -> None:
    """Who does not want it is lost; who was not reached stays worth acting on."""
    done = await office.complete(task, outcome)
    assert (done.state, done.outcome) == (state, outcome)
    assert await office.open_tasks() == []
    assert await state_of(office, task) == opportunity


async def test_the_contact_stands_with_the_task(office: Office, task: Task) -> None:
    """Whoever reviews it finds the proof, and the chain has it."""
    contact_id = office.contact(task)
    done = await office.complete(task, NO_INTENT, contact_id=contact_id)
    assert done.contact_id == done.chain.contact_id == contact_id


async def test_no_outcome_without_evidence(office: Office, task: Task) -> None:
    """A click proves nothing."""
    reason = await refused(office.complete(task, contact_id=0))
    assert reason is ActionReason.EVIDENCE_REQUIRED
    assert await office.open_tasks() == [task]


async def test_a_node_that_asks_for_nothing_needs_no_contact(office: Office) -> None:
    """Some steps leave no contact."""
    node = action_pb2.Node(name="prepare", evidence=action_pb2.EVIDENCE_NONE)
    made = await office.launched(scene(nodes=[node]))
    task = await office.task_for(made.definition.definition_id, 11)
    done = await office.complete(task, contact_id=0)
    assert done.state == action_pb2.TASK_STATE_SUCCESS


@pytest.mark.parametrize(
    "fields", [{"chain": ChainIds(task_id=999)}, {"customer_id": 12}], ids=["task", "customer"]
)
async def test_a_contact_of_something_else_proves_nothing(
    office: Office, task: Task, fields: dict[str, Any]
) -> None:
    """Nor does one that does not exist."""
    foreign = office.contact(task, **fields)
    for contact_id in (foreign, 404):
        reason = await refused(office.complete(task, contact_id=contact_id))
        assert reason is ActionReason.EVIDENCE_MISMATCH


@pytest.mark.parametrize("outcome", [INTERESTED, NO_INTENT])
async def test_an_answer_needs_a_contact_that_reached(
    office: Office, task: Task, outcome: action_pb2.Outcome.ValueType
) -> None:
    """A message that only went out has no answer."""
    sent = office.contact(task, reached=False, state=reach_pb2.CONTACT_STATE_SENT)
    reason = await refused(office.complete(task, outcome, contact_id=sent))
    assert reason is ActionReason.EVIDENCE_INSUFFICIENT


@pytest.mark.parametrize(
    ("state", "proves"),
    [
        (reach_pb2.CONTACT_STATE_DENIED, True),
        (reach_pb2.CONTACT_STATE_DEFERRED, False),
        (reach_pb2.CONTACT_STATE_QUEUED, False),
        (reach_pb2.CONTACT_STATE_DISPATCHED, False),
        (reach_pb2.CONTACT_STATE_AWAIT_STAFF_CONFIRM, False),
        (reach_pb2.CONTACT_STATE_SENT, True),
        (reach_pb2.CONTACT_STATE_DELIVERED, True),
        (reach_pb2.CONTACT_STATE_FAILED, True),
        (reach_pb2.CONTACT_STATE_EXPIRED, True),
        (reach_pb2.CONTACT_STATE_CANCELLED, False),
    ],
)
async def test_unreachable_needs_an_attempt_that_ended_or_went_out(
    office: Office, task: Task, *, state: reach_pb2.ContactState.ValueType, proves: bool
) -> None:
    """What is still waiting, or was taken back, is no attempt."""
    contact_id = office.contact(task, reached=False, state=state)
    attempt = office.complete(task, UNREACHABLE, contact_id=contact_id)
    if proves:
        assert (await attempt).state == action_pb2.TASK_STATE_UNREACHABLE
    else:
        assert await refused(attempt) is ActionReason.EVIDENCE_INSUFFICIENT


async def test_an_old_etag_is_refused(office: Office, task: Task) -> None:
    """Who decided on what the task was before decides again."""
    await office.start(task)
    reason = await refused(office.complete(task, etag=task.etag))
    assert reason is ActionReason.TASK_ETAG_MISMATCH
    (begun,) = await office.open_tasks()
    await office.complete(begun, etag=begun.etag)


async def test_a_closed_task_is_neither_begun_nor_completed_again(
    office: Office, task: Task
) -> None:
    """Its outcome stands."""
    await office.complete(task, NO_INTENT)
    assert await refused(office.complete(task)) is ActionReason.TASK_CLOSED
    assert await refused(office.start(task)) is ActionReason.TASK_CLOSED


async def test_a_task_that_moved_away_is_out_of_scope(office: Office, task: Task) -> None:
    """Whoever had it when he was let in, but has it no longer, changes nothing."""
    stranger = Worker(actor="rm008", staff_id=8)
    reason = await refused(office.complete(task, worker=stranger))
    assert reason is MeshReason.OUT_OF_SCOPE


async def test_starting_twice_changes_nothing_more(office: Office, task: Task) -> None:
    """The second start answers what the first one made."""
    first = await office.start(task)
    office.later(minutes=1)
    assert await office.start(task) == first
    assert first.state == action_pb2.TASK_STATE_IN_PROGRESS


async def test_no_next_node_while_the_scene_is_paused(
    office: Office, scene_id: int, task: Task
) -> None:
    """The outcome waits for the scene; one that opens no task does not."""
    await office.pause(scene_id)
    assert await refused(office.complete(task)) is ActionReason.SCENE_NOT_RUNNING
    assert await office.open_tasks() == [task]
    other = await office.complete(task, NO_INTENT)
    assert other.state == action_pb2.TASK_STATE_NO_INTENT


async def test_the_next_node_may_belong_to_the_pool(office: Office) -> None:
    """Where the owner of a node may not do the next one, head office's pool does."""
    nodes = [
        action_pb2.Node(name="visit"),
        action_pb2.Node(name="call back", actors=[AGENT_KIND]),
    ]
    pool = action_pb2.Pool(owner_kind=AGENT_KIND, owner_id=900)
    made = await office.launched(scene(nodes=nodes, pool=pool))
    task = await office.task_for(made.definition.definition_id, 11)
    await office.complete(task)
    (following,) = await office.open_tasks()
    assert (following.node, following.owner.owner_id) == (1, 900)
