"""A lane between two ends that are moved by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mesh.lane.keeper import State
from tests.unit.mesh.lane.talk import life
from tests.unit.mesh.lane.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A lane that is open."""
    with World() as world:
        world.settle()
        assert life(world) is State.OPEN
        yield world
