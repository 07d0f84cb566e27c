"""A scene stops and goes on as a whole: its contacts are those of every version that ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from centers.action.run import Run
from engine.action.v1 import action_pb2

_TICK: Final = timedelta(microseconds=1)
_STOPPED: Final = frozenset({action_pb2.SCENE_STATUS_PAUSED, action_pb2.SCENE_STATUS_ENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """From a time on the contacts of a scene stop, or go on.

    `scene_version` is the present version, `scene_versions` are those that ran before:
    contacts of theirs may still wait, and their open tasks may still make some.
    """

    scene_version: int
    scene_versions: tuple[int, ...]
    held: bool
    time: datetime


def turn_to(present: Run, runs: Sequence[Run], left: int = 0) -> Turn:
    """What the present version means for the contacts of its scene.

    Args:
        present: the version that was launched last, as it stands now.
        runs: all versions of the scene.
        left: a version whose contacts stay as they are; 0: none.
    """
    assert present.turn_time is not None, "a version that ran was launched at some time"
    apart = {present.scene_version, left}
    ran = (run.scene_version for run in runs if run.launch_no)
    return Turn(
        scene_version=present.scene_version,
        scene_versions=tuple(version for version in ran if version not in apart),
        held=present.status in _STOPPED,
        time=present.turn_time,
    )


def next_time(runs: Sequence[Run], now: datetime) -> datetime:
    """When a scene turns that turns now: later than ever before, whatever the clock did."""
    before = [run.turn_time + _TICK for run in runs if run.turn_time is not None]
    return max([now, *before])
