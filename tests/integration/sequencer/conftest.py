"""The sequencer under test: one server, or two on one store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh.clock import ManualClock
from mesh.telemetry import Telemetry
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT
from tests.integration.sequences import MORNING, RIGHTS, Pair, at, token

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
async def stub(mesh: Mesh, telemetry: Telemetry) -> Stub:
    """The service, called by a user who may do everything; two services may as well."""
    mesh.trust("shop", RIGHTS)
    mesh.trust("gateway", RIGHTS)
    await mesh.start(BLUEPRINT, telemetry=telemetry)
    return SequencerServiceStub(mesh.channel("sequencer", token=token(mesh)))


@pytest.fixture
async def pair(mesh: Mesh) -> AsyncIterator[Pair]:
    """Two servers, each with its own memory of sequences."""
    clock = ManualClock(MORNING)
    servers = [await mesh.start(BLUEPRINT, clock=clock, replica=place) for place in (8, 9)]
    (first, one), (second, other) = (at(mesh, server) for server in servers)
    async with first, second:
        yield Pair(clock, one, other)
