"""Calls to other centres as part of a task's chain."""

from __future__ import annotations

from msgspec.structs import replace

from centers.action.domain import Task
from mesh import context


def part_of(task: Task) -> context.using:
    """A block whose calls carry the chain ids of the task."""
    return context.using(replace(context.current(), chain=task.chain))
