"""Who can move the fence of a sequence, and how far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh.telemetry import Telemetry
from mesh.testing import Mesh
from tests.integration.sequences import (
    FENCED,
    MAX_ID,
    NAME,
    Pair,
    create,
    failure,
    give_back,
    lease,
    leases,
    token,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub


async def test_a_service_that_knows_more_than_the_store_is_believed(
    stub: Stub, mesh: Mesh, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """A store restored from an old copy is jumped over, and an alarm is raised."""
    service = SequencerServiceStub(mesh.channel("sequencer", caller="shop"))
    await create(stub, NAME)
    await lease(stub, NAME, "a", 100)

    lost = pb.Lease(witness=pb.Witness(number=7, mark=5, epoch=0, position=5_000))
    held = await lease(service, NAME, "b", 10, lost)

    assert (held.first, held.witness.epoch) == (5_001, 1)
    assert (await lease(stub, NAME, "c", 10)).first == 5_011
    assert telemetry.meters.counter("sequencer.fence_jumps").value == 1
    assert "sequence_fenced" in caplog.text
    (jump,) = await leases(stub, NAME, actions=[FENCED])
    assert (jump.first, jump.size) == (101, 4_900)
    assert jump.client_id == "mesh:sequencer/fence"
    assert jump.note == "witness mesh:shop/b: entry 7 of epoch 0"
    assert (await lease(service, NAME, "b", 10, lost)).first == 5_021, "it is jumped over once"


@pytest.mark.parametrize(
    "claim",
    [
        pb.Witness(number=1, mark=5, position=MAX_ID),
        pb.Witness(number=1, mark=5, position=101),
        pb.Witness(number=2, mark=5, position=100),
        pb.Witness(number=9, mark=5, position=0),
    ],
)
@pytest.mark.parametrize("through", ["", "gateway"])
async def test_a_user_cannot_burn_a_sequence(
    stub: Stub, mesh: Mesh, claim: pb.Witness, through: str, telemetry: Telemetry
) -> None:
    """What a user says to hold that was never granted is refused, and changes nothing."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    here = SequencerServiceStub(mesh.channel("sequencer", token=token(mesh), caller=through))

    refused = await failure(lease(here, NAME, "a", 1, pb.Lease(witness=claim)))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "FENCE_REFUSED",
    )
    assert refused.next_step
    assert refused.titles["zh-CN"] == "声称的号段超出已发放范围"
    assert telemetry.meters.counter("sequencer.fence_jumps").value == 0
    assert (await lease(here, NAME, "a", 1, held)).first == 101


async def test_a_claim_beyond_the_sequence_is_refused(stub: Stub, mesh: Mesh) -> None:
    """Nobody can end a sequence by claiming an id that it does not have."""
    service = SequencerServiceStub(mesh.channel("sequencer", caller="shop"))
    await create(stub, NAME, max_value=1_000)

    beyond = pb.Lease(witness=pb.Witness(number=1, mark=1, position=1_001))
    refused = await failure(lease(service, NAME, "a", 1, beyond))
    assert refused.violations[0].field == "last.position"


async def test_an_operator_moves_the_fence(pair: Pair) -> None:
    """To behind an id, once; who holds ids from before sees a higher epoch; servers agree."""
    await create(pair.one, NAME, start=10, increment=10)
    held = await lease(pair.other, NAME, "a", 5)
    assert await give_back(pair.other, NAME, held, 2) == 3

    for _ in range(2):
        request = pb.FenceSequenceRequest(name=NAME, at_least=101)
        moved = (await pair.one.FenceSequence(request)).sequence
        assert (moved.next_value, moved.epoch, moved.returned) == (110, 1, 0)
    fresh = await lease(pair.other, NAME, "b", 1)
    assert (fresh.first, fresh.witness.epoch) == (110, 1)
    (jump,) = await leases(pair.one, NAME, actions=[FENCED])
    assert (jump.client_id, jump.note) == ("ops/rpc", "operator: at least 101")


async def test_ids_below_an_operators_fence_do_not_come_back(stub: Stub) -> None:
    """Also when more had been granted by then: what he names may have been used."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    other = await lease(stub, NAME, "b", 100)
    await give_back(stub, NAME, held, 10)

    await stub.FenceSequence(pb.FenceSequenceRequest(name=NAME, at_least=50))

    assert (await lease(stub, NAME, "c", 1)).first == 201
    assert await give_back(stub, NAME, other, 10) == 0


@pytest.mark.parametrize(
    ("settings", "at_least", "field"),
    [
        ({"max_value": 100}, 101, "at_least"),
        ({"increment": -1, "max_value": 100}, 0, "at_least"),
        ({"cycle": True, "max_value": 100}, 5, "name"),
        ({"kind": pb.SEQUENCE_KIND_GAPLESS}, 5, "name"),
    ],
)
async def test_a_fence_that_cannot_be_is_refused(
    stub: Stub, settings: dict[str, Any], at_least: int, field: str
) -> None:
    """Beyond the last id, and where ids have no order or another service counts."""
    await create(stub, NAME, **settings)

    request = pb.FenceSequenceRequest(name=NAME, at_least=at_least)
    refused = await failure(stub.FenceSequence(request))

    assert refused.violations[0].field == field


async def test_a_server_tells_other_services_what_it_has_seen(stub: Stub, mesh: Mesh) -> None:
    """The witness of its newest entry, none of a sequence that it has not."""
    service = SequencerServiceStub(mesh.channel("sequencer", caller="shop"))
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)

    answer = await service.GetWitness(pb.GetWitnessRequest(name=NAME))
    assert answer.witness == held.witness
    unknown = pb.GetWitnessRequest(name="no.such")
    assert not (await service.GetWitness(unknown)).HasField("witness")
