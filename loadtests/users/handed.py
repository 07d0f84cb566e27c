"""What one user leaves for another."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from engine.action.v1.action_pb2 import Task

MOST: Final = 1_000
"""Kept of each sort; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Handed:
    """Tasks that a branch manager gives to others, grants that head office takes back."""

    tasks: deque[Task] = field(default_factory=lambda: deque(maxlen=MOST))
    grants: deque[int] = field(default_factory=lambda: deque(maxlen=MOST))
