"""What the review centre hears of others, and what it keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from centers.review.behavior_rows import BehaviorRows
from centers.review.behaviors import Told, keys_of
from centers.review.chain_rows import (
    CONTACTS,
    GRANTS,
    NO_PROGRESS,
    OPPORTUNITIES,
    RESULTS,
    SCENES,
    TASKS,
    mark,
    touch,
)
from centers.review.conversion_rows import pair_opportunity, pair_result
from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import AuditRecord, Event
from engine.performance.v1 import performance_pb2
from engine.reach.v1 import reach_pb2
from mesh.audit import TOPIC
from mesh.events import Effect, Subscription
from mesh.storage import Transaction

CHAIN: Final = ("action", "reach", "benefits", "performance")
"""Topics that tell how the chain goes on."""

_RECORD: Final = AuditRecord.DESCRIPTOR.full_name

_GRANTED: Final = frozenset({benefits_pb2.GRANT_STATE_GRANTED, benefits_pb2.GRANT_STATE_REDEEMED})
_SENT: Final = frozenset({reach_pb2.CONTACT_STATE_SENT, reach_pb2.CONTACT_STATE_DELIVERED})


def subscriptions(log: BehaviorRows) -> Sequence[Subscription]:
    """Everything that is consumed."""

    async def on_audit(event: Event) -> Effect | None:
        return _behavior(log, event) if event.type == _RECORD else None

    return [
        Subscription(group="log", topic=TOPIC, react=on_audit),
        *(Subscription(group="funnel", topic=topic, react=on_chain) for topic in CHAIN),
    ]


async def on_chain(event: Event) -> Effect | None:
    """What an event of the chain changes; nothing where it belongs to no scene."""
    learn = _LEARN.get(event.type)
    return learn(event) if learn else None


def _behavior(log: BehaviorRows, event: Event) -> Effect:
    keys = keys_of(AuditRecord.FromString(event.payload))
    told = Told(event_id=event.event_id, source=event.source, record=event.payload)

    async def effect(tx: Transaction) -> None:
        await log.append(tx, told, keys)

    return effect


def _scene(event: Event) -> Effect:
    said = action_pb2.SceneChanged.FromString(event.payload)
    told_us = event.time.ToMicroseconds()
    values = {
        "holdout_bp": said.holdout_bp,
        "success_metric": said.success_metric,
        "newest_us": told_us,
    }

    async def effect(tx: Transaction) -> None:
        await SCENES.keep(tx, said.scene_version, event.event_id, values)
        await touch(tx, said.scene_version, told_us)

    return effect


def _opportunity(event: Event) -> Effect:
    said = action_pb2.OpportunityChanged.FromString(event.payload).opportunity
    values = {
        "scene_version": said.scene_version,
        "customer_id": said.customer_id,
        "arm": said.arm,
        "suppress_reason": said.suppress_reason,
        "occurred_us": said.occurred_time.ToMicroseconds(),
        **NO_PROGRESS,
    }

    async def effect(tx: Transaction) -> None:
        await OPPORTUNITIES.keep(tx, said.opportunity_id, event.event_id, values)
        await pair_opportunity(tx, said.opportunity_id)
        await touch(tx, said.scene_version, event.time.ToMicroseconds())

    return effect


def _task(event: Event) -> Effect | None:
    said = action_pb2.TaskChanged.FromString(event.payload).task
    chain = _chain(said.chain, event)
    values = {
        "scene_version": chain.scene_version,
        "owner_kind": said.owner_kind,
        "state": said.state,
    }
    interested = said.outcome == action_pb2.OUTCOME_INTERESTED

    async def effect(tx: Transaction) -> None:
        await TASKS.keep(tx, said.task_id, event.event_id, values)
        await _mark(tx, chain, tasked=True, interested=interested)
        await touch(tx, chain.scene_version, event.time.ToMicroseconds())

    return effect if chain.scene_version else None


def _contact(event: Event) -> Effect | None:
    said = reach_pb2.ContactChanged.FromString(event.payload).contact
    chain = _chain(said.chain, event)
    values = {
        "scene_version": chain.scene_version,
        "channel": said.channel,
        "decision": said.receipt.decision,
        "reason": said.receipt.reason,
        "sent": said.state in _SENT,
        "delivered": said.state == reach_pb2.CONTACT_STATE_DELIVERED,
        "reached": said.reached,
    }

    async def effect(tx: Transaction) -> None:
        await CONTACTS.keep(tx, said.contact_id, event.event_id, values)
        attempted = said.receipt.decision != reach_pb2.ADMISSION_DECISION_UNSPECIFIED
        await _mark(tx, chain, attempted=attempted, reached=said.reached)
        await touch(tx, chain.scene_version, event.time.ToMicroseconds())

    return effect if chain.scene_version else None


def _grant(event: Event) -> Effect | None:
    said = benefits_pb2.GrantChanged.FromString(event.payload).grant
    chain = _chain(said.chain, event)
    values = {
        "scene_version": chain.scene_version,
        "state": said.state,
        "granted": said.state in _GRANTED,
    }

    async def effect(tx: Transaction) -> None:
        await GRANTS.keep(tx, said.grant_id, event.event_id, values)
        await touch(tx, chain.scene_version, event.time.ToMicroseconds())

    return effect if chain.scene_version else None


def _result(event: Event) -> Effect:
    said = performance_pb2.ResultRecorded.FromString(event.payload)
    values = {
        "metric": performance_pb2.Metric.Name(said.metric).removeprefix("METRIC_").lower(),
        "customer_id": said.customer_id,
        "occurred_us": said.occurred_time.ToMicroseconds(),
        "holds": said.counts and not said.reversed,
    }

    async def effect(tx: Transaction) -> None:
        await RESULTS.keep(tx, said.result_id, event.event_id, values)
        for scene_version in await pair_result(tx, said.result_id):
            await touch(tx, scene_version, event.time.ToMicroseconds())

    return effect


async def _mark(tx: Transaction, chain: ChainIds, **flags: bool) -> None:
    if chain.opportunity_id:
        await mark(tx, chain.opportunity_id, chain.scene_version, **flags)


def _chain(said: ChainIds, event: Event) -> ChainIds:
    """The chain that the payload tells, or else the event."""
    return said if said.scene_version else event.chain


_LEARN: Final[Mapping[str, Callable[[Event], Effect | None]]] = {
    action_pb2.SceneChanged.DESCRIPTOR.full_name: _scene,
    action_pb2.OpportunityChanged.DESCRIPTOR.full_name: _opportunity,
    action_pb2.TaskChanged.DESCRIPTOR.full_name: _task,
    reach_pb2.ContactChanged.DESCRIPTOR.full_name: _contact,
    benefits_pb2.GrantChanged.DESCRIPTOR.full_name: _grant,
    performance_pb2.ResultRecorded.DESCRIPTOR.full_name: _result,
}
