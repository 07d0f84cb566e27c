"""Domain objects as messages of the action contract, and what requests ask for."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from centers.action.domain import Opportunity, OwnerInterval, Task, TaskOwner
from centers.action.run import Run
from centers.action.views import View
from engine.action.v1 import action_pb2
from mesh.clock import to_micros
from mesh.definitions import Version, to_message
from mesh.paging import PageRequest


def task(found: Task) -> action_pb2.Task:
    """A task as the contract shows it."""
    return action_pb2.Task(
        task_id=found.task_id,
        chain=found.chain,
        scene_id=found.scene_id,
        node=found.node,
        customer_id=found.customer_id,
        owner_kind=found.owner.kind,
        owner_id=found.owner.owner_id,
        branch_id=found.owner.branch_id,
        state=found.state,
        objective=found.objective,
        due_time=_time(found.due_time),
        create_time=_time(found.create_time),
        update_time=_time(found.update_time),
        outcome=found.outcome,
        contact_id=found.contact_id,
        lease_expire_time=_time(found.lease.expire_time) if found.lease else None,
        etag=found.etag,
    )


def opportunity(found: Opportunity) -> action_pb2.Opportunity:
    """An opportunity as the contract shows it."""
    return action_pb2.Opportunity(
        opportunity_id=found.opportunity_id,
        trigger_id=found.trigger_id,
        scene_id=found.scene_id,
        scene_version=found.scene_version,
        customer_id=found.customer_id,
        arm=found.arm,
        state=found.state,
        suppress_reason=found.suppress_reason,
        occurred_time=_time(found.occurred_time),
        create_time=_time(found.create_time),
        expire_time=_time(found.expire_time),
    )


def interval(found: OwnerInterval) -> action_pb2.OwnerInterval:
    """An interval of a task's owners as the contract shows it."""
    return action_pb2.OwnerInterval(
        owner_kind=found.owner.kind,
        owner_id=found.owner.owner_id,
        branch_id=found.owner.branch_id,
        start_time=_time(found.start_time),
        end_time=_time(found.end_time),
        reason=found.reason,
    )


def scene(version: Version[action_pb2.Scene], run: Run) -> action_pb2.Scene:
    """A version of a scene as the contract shows it."""
    message = action_pb2.Scene()
    message.CopyFrom(version.body)
    message.definition.CopyFrom(to_message(version))
    message.scene_version = version.version_id
    message.status = run.status
    if run.simulation is not None:
        message.simulation.CopyFrom(run.simulation)
    return message


def content(given: action_pb2.Scene) -> action_pb2.Scene:
    """What a version keeps of the scene that its author gives: what he decides, no more."""
    kept = action_pb2.Scene()
    kept.CopyFrom(given)
    for field in ("definition", "scene_version", "status", "simulation"):
        kept.ClearField(field)
    return kept


def owner(request: action_pb2.ReassignTaskRequest) -> TaskOwner:
    """Whom a task is to be given to."""
    return TaskOwner(
        kind=request.owner_kind, owner_id=request.owner_id, branch_id=request.branch_id
    )


def view(found: View) -> action_pb2.TaskView:
    """A task with what its owner needs, as the contract shows it."""
    said = found.strategy.scene
    return action_pb2.TaskView(
        task=task(found.task),
        node=said.nodes[found.task.node],
        scene_name=said.name,
        customer_name=found.shown.name,
        customer_phone=found.shown.phone,
        amount_fen=found.amount_fen,
        occurred_time=_time(found.occurred_time),
    )


def scenes_page(request: action_pb2.ListScenesRequest) -> PageRequest:
    """The page asked for."""
    return PageRequest(listing="scenes", size=request.page_size, token=request.page_token)


def opportunities_page(request: action_pb2.ListOpportunitiesRequest) -> PageRequest:
    """The page asked for; its token holds for the same scene, version and state alone."""
    listing = f"opportunities\n{request.scene_id}\n{request.version}\n{request.state}"
    return PageRequest(listing=listing, size=request.page_size, token=request.page_token)


def tasks_page(request: action_pb2.ListMyTasksRequest) -> PageRequest:
    """The page asked for; its token holds for the same owner, state and scene alone."""
    listing = f"tasks\n{request.owner_id}\n{request.state}\n{request.scene_id}"
    return PageRequest(listing=listing, size=request.page_size, token=request.page_token)


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    # A third of the time that FromDatetime takes: every change of a task tells several.
    seconds, micros = divmod(to_micros(moment), 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1_000)
