"""What other centres tell, as the tests need it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.action.v1 import action_pb2 as action
from engine.benefits.v1 import benefits_pb2 as benefits
from engine.mesh.v1 import ownership_pb2 as ownership
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import AUDIT_OUTCOME_DONE, AuditRecord, Event
from engine.performance.v1 import performance_pb2 as performance
from engine.reach.v1 import reach_pb2 as reach
from mesh.audit import TOPIC
from mesh.events import event

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
VERSION = 501
"""The version of the scene that is reviewed."""

METRIC = "net_external_inflow"


def behavior(
    actor: str = "rm001", *, branch_id: int = 3, task_id: int = 0, **said: object
) -> Event:
    fields = {"verb": "/engine.action.v1.TaskService/StartTask", "customer_id": 11, **said}
    record = AuditRecord(
        actor=actor,
        branch_id=branch_id,
        chain=ChainIds(task_id=task_id),
        outcome=AUDIT_OUTCOME_DONE,
        **fields,  # type: ignore[arg-type]
    )
    record.time.FromDatetime(NOON)
    told = event(record, topic=TOPIC, key=record.customer_id)
    told.source = "action"
    return told


def scene(*, holdout_bp: int = 1_000, version: int = VERSION, metric: str = METRIC) -> Event:
    changed = action.SceneChanged(
        scene_id=5,
        scene_version=version,
        version=1,
        status=action.SCENE_STATUS_RUNNING,
        holdout_bp=holdout_bp,
        success_metric=metric,
    )
    return event(changed, key=5, time=NOON)


def opportunity(
    number: int,
    *,
    held_out: bool = False,
    suppressed: int = 0,
    state: int = action.OPPORTUNITY_STATE_TASKED,
    version: int = VERSION,
    customer_id: int = 0,
    at: datetime = NOON,
) -> Event:
    """Of customer `number`, unless said otherwise."""
    if held_out:
        state = action.OPPORTUNITY_STATE_HELD_OUT
    elif suppressed:
        state = action.OPPORTUNITY_STATE_SUPPRESSED
    said = action.Opportunity(
        opportunity_id=number,
        scene_version=version,
        customer_id=customer_id or number,
        arm=action.ARM_HOLDOUT if held_out else action.ARM_TREATED,
        state=action.OpportunityState.ValueType(state),
        suppress_reason=action.SuppressReason.ValueType(suppressed),
    )
    said.occurred_time.FromDatetime(at)
    return event(action.OpportunityChanged(opportunity=said), key=said.customer_id, time=NOON)


def chain(number: int, version: int = VERSION) -> ChainIds:
    """Of the one task of opportunity `number`."""
    return ChainIds(scene_version=version, opportunity_id=number, task_id=number)


def task(
    number: int,
    *,
    owner: int = ownership.OWNER_KIND_RELATIONSHIP_MANAGER,
    state: int = action.TASK_STATE_ASSIGNED,
    outcome: int = action.OUTCOME_UNSPECIFIED,
    version: int = VERSION,
) -> Event:
    said = action.Task(
        task_id=number,
        chain=chain(number, version),
        customer_id=number,
        owner_kind=ownership.OwnerKind.ValueType(owner),
        state=action.TaskState.ValueType(state),
        outcome=action.Outcome.ValueType(outcome),
    )
    return event(action.TaskChanged(task=said), key=number, chain=said.chain, time=NOON)


def contact(
    contact_id: int,
    number: int,
    *,
    channel: int = reach.CHANNEL_WECOM,
    state: int = reach.CONTACT_STATE_QUEUED,
    decision: int = reach.ADMISSION_DECISION_ADMITTED,
    reason: int = 0,
    reached: bool = False,
    version: int = VERSION,
) -> Event:
    """A contact of the task of opportunity `number`."""
    said = reach.Contact(
        contact_id=contact_id,
        customer_id=number,
        channel=reach.Channel.ValueType(channel),
        state=reach.ContactState.ValueType(state),
        chain=chain(number, version),
        reached=reached,
    )
    said.receipt.receipt_id = contact_id
    said.receipt.decision = reach.AdmissionDecision.ValueType(decision)
    said.receipt.reason = reach.AdmissionCheck.ValueType(reason)
    return event(reach.ContactChanged(contact=said), key=number, chain=said.chain, time=NOON)


def grant(
    number: int, *, state: int = benefits.GRANT_STATE_GRANTED, version: int = VERSION
) -> Event:
    said = benefits.Grant(
        grant_id=number,
        customer_id=number,
        state=benefits.GrantState.ValueType(state),
        chain=chain(number, version),
    )
    return event(benefits.GrantChanged(grant=said), key=number, chain=said.chain, time=NOON)


def result(
    result_id: int,
    customer_id: int,
    *,
    after: timedelta = timedelta(days=1),
    counts: bool = True,
    reversed_: bool = False,
    metric: int = performance.METRIC_NET_EXTERNAL_INFLOW,
) -> Event:
    """Money that moved so long after the opportunity's event."""
    said = performance.ResultRecorded(
        metric=performance.Metric.ValueType(metric),
        customer_id=customer_id,
        counts=counts,
        reversed=reversed_,
        result_id=result_id,
    )
    said.occurred_time.FromDatetime(NOON + after)
    return event(said, key=customer_id, time=NOON + after)
