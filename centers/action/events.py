"""What the action centre tells all others. Topic "action"; no amounts, no personal data."""

from __future__ import annotations

from centers.action import wire
from centers.action.domain import Opportunity, Task
from centers.action.run import Run
from centers.action.turn import Turn
from engine.action.v1 import action_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import Event
from mesh.events import event


def task_changed(changed: Task) -> Event:
    """A task came to be or changed."""
    payload = action_pb2.TaskChanged(task=wire.task(changed))
    return event(payload, key=changed.customer_id, chain=changed.chain, time=changed.update_time)


def opportunity_changed(changed: Opportunity) -> Event:
    """An opportunity came to be or changed."""
    payload = action_pb2.OpportunityChanged(opportunity=wire.opportunity(changed))
    return event(payload, key=changed.customer_id, chain=changed.chain)


def scene_changed(run: Run, scene: action_pb2.Scene, turn: Turn | None = None) -> Event:
    """A version of a scene changed its status; with `turn`, what that means for its contacts."""
    payload = action_pb2.SceneChanged(
        scene_id=run.scene_id,
        scene_version=run.scene_version,
        version=run.version,
        status=run.status,
        objective=scene.objective,
        holdout_bp=scene.holdout_bp,
        success_metric=scene.success_metric,
        name=scene.name,
        scene_versions=turn.scene_versions if turn else (),
    )
    chain = ChainIds(scene_version=run.scene_version)
    return event(payload, key=run.scene_id, chain=chain, time=turn.time if turn else None)
