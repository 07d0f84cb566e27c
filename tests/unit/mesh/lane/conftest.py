"""A lane between two ends, and a peer, that are moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mesh import peer as peers
from mesh.lane.keeper import State
from mesh.peer import Dialling, Peer
from tests.unit.mesh.lane.dialling import ENDPOINT, Calls, Dialler
from tests.unit.mesh.lane.talk import life
from tests.unit.mesh.lane.world import Clock, World


@pytest.fixture
def world() -> Iterator[World]:
    """A lane that is open."""
    with World() as world:
        world.settle()
        assert life(world) is State.OPEN
        yield world


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time by which a peer waits."""
    clock = Clock()
    monkeypatch.setattr(peers, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def dialler(monkeypatch: pytest.MonkeyPatch) -> Dialler:
    """Dials for all peers."""
    dialler = Dialler()
    monkeypatch.setattr(peers, "dial", dialler)
    return dialler


@pytest.fixture
def calls() -> Calls:
    """What became of calls."""
    return Calls()


@pytest.fixture
async def peer(dialler: Dialler, clock: Clock, calls: Calls) -> Any:
    """A peer that was not dialled yet."""
    peer = Peer(ENDPOINT, Dialling(), calls)
    yield peer
    await peer.close(None)
