"""Rows of message tasks as domain objects, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from centers.wecom.domain import CREATED, MessageTask, Standing
from engine.mesh.v1 import context_pb2
from mesh.clock import from_micros, to_micros
from mesh.storage import Row


def values(task: MessageTask) -> dict[str, Any]:
    """All columns of a new task."""
    return {
        "message_task_id": task.message_task_id,
        "contact_id": task.contact_id,
        "customer_id": task.customer_id,
        "staff_id": task.staff_id,
        "external_userid": task.external_userid,
        "text_sha256": task.text_sha256,
        "scene_version": task.chain.scene_version,
        "trigger_id": task.chain.trigger_id,
        "opportunity_id": task.chain.opportunity_id,
        "task_id": task.chain.task_id,
        "create_us": to_micros(task.create_time),
        "offered": task.offered,
        "attempts": task.attempts,
        **changing(task),
        "due_us": due(task, task.create_time),
    }


def changing(task: MessageTask) -> dict[str, Any]:
    """The columns that change with where the task stands."""
    return {
        "msgid": task.msgid or None,
        "state": task.standing.state,
        "result_code": task.standing.result_code,
        "text": task.text,
        "update_us": to_micros(task.update_time),
    }


def due(task: MessageTask, when: datetime) -> int | None:
    """When it is to be handed over; never, unless WeCom is still to be told."""
    return to_micros(when) if task.standing.state == CREATED else None


def to_task(row: Row, reminders: int = 0) -> MessageTask:
    """The task of a row."""
    return MessageTask(
        message_task_id=row.message_task_id,
        contact_id=row.contact_id,
        customer_id=row.customer_id,
        staff_id=row.staff_id,
        external_userid=row.external_userid,
        text=row.text,
        text_sha256=row.text_sha256,
        standing=Standing(state=row.state, result_code=row.result_code),
        chain=context_pb2.ChainIds(
            scene_version=row.scene_version,
            trigger_id=row.trigger_id,
            opportunity_id=row.opportunity_id,
            task_id=row.task_id,
            contact_id=row.contact_id,
        ),
        create_time=from_micros(row.create_us),
        update_time=from_micros(row.update_us),
        msgid=row.msgid or "",
        offered=row.offered,
        attempts=row.attempts,
        reminders=reminders,
    )
