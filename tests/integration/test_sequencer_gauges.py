"""What the sequencer's gauges show of a running server."""

from __future__ import annotations

from typing import Any

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh.telemetry import Telemetry
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT

RIGHTS = {"sequencer.lease", "sequencer.create"}
EACH = 2
"""Calls that reach every process of the service, where the run has two."""


async def test_a_journal_that_cannot_be_written_shows(mesh: Mesh) -> None:
    """Ids are granted all the same; the gauge says that a witness is in memory alone."""
    telemetry = Telemetry()
    mesh.trust("shop", RIGHTS)
    await mesh.start(BLUEPRINT, telemetry=telemetry)
    stub: Any = SequencerServiceStub(mesh.channel(BLUEPRINT.name, caller="shop"))
    wanted = pb.Sequence(name="shop.order")
    await stub.CreateSequence(pb.CreateSequenceRequest(sequence=wanted))
    request = pb.LeaseRangeRequest(name="shop.order", client_id="1", size=10)
    behind = telemetry.meters.gauges["sequencer.journal_behind"]

    for _ in range(EACH):
        await stub.LeaseRange(request)
    assert behind() == 0

    journal = mesh.settings.data_dir / "sequencer-witness.db"
    journal.unlink()
    journal.mkdir()
    for _ in range(EACH):
        answer = await stub.LeaseRange(request)
        assert answer.lease.size == 10
    assert behind() == 1
