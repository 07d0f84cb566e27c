"""The SDK's gapless numbers against the service, killed and put back to an older copy."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.sequencer.v1 import gapless_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2
from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from sequencer.app import BLUEPRINT
from sequencer.sdk import NumbersLost, Sequencer, SequencerError, mesh_source

RIGHTS = {"sequencer.read", "sequencer.create", "sequencer.reserve", "sequencer.void"}
NAME = "loan.contract"


@asynccontextmanager
async def serving(var: Path) -> AsyncIterator[Mesh]:
    """The service with the sequence, in a folder that outlives it."""
    async with Mesh(var) as mesh:
        mesh.trust("loan", RIGHTS)
        await mesh.start(BLUEPRINT)
        wanted = sequencer_pb2.Sequence(name=NAME, kind=sequencer_pb2.SEQUENCE_KIND_GAPLESS)
        stub = SequencerServiceStub(mesh.channel("sequencer", caller="loan"))
        await stub.CreateSequence(sequencer_pb2.CreateSequenceRequest(sequence=wanted))
        yield mesh


@asynccontextmanager
async def client(mesh: Mesh) -> AsyncIterator[Sequencer]:
    source = mesh_source(mesh.registry, ServiceKey.load(mesh.settings.key_dir, "loan"))
    async with Sequencer(source) as sequencer:
        yield sequencer


async def gaps(mesh: Mesh) -> list[tuple[int, int, str]]:
    stub = GaplessServiceStub(mesh.channel("sequencer", caller="loan"))
    found = await stub.GetGapReport(pb.GetGapReportRequest(name=NAME))
    return [(run.first, run.last, pb.NumberState.Name(run.state)[13:]) for run in found.gaps]


async def test_numbers_are_used_or_given_back(var: Path) -> None:
    """What a block did not use the next one gets."""
    async with serving(var) as mesh, client(mesh) as sequencer:
        numbers = sequencer.gapless(NAME)
        assert sequencer.gapless(NAME) is numbers
        async with numbers.reserve() as number:
            assert number == 1
        with pytest.raises(ValueError, match="no credit"):  # noqa: PT012 - the block is tested
            async with numbers.reserve(2) as some:
                assert some == (2, 3)
                raise ValueError("no credit")
        async with numbers.reserve(3) as some:
            assert some == (2, 3, 4)

        assert await gaps(mesh) == []


async def test_a_claim_is_confirmed_after_a_restart_of_both(var: Path) -> None:
    """Who keeps the claim with what uses the number settles it later, whoever died meanwhile."""
    async with serving(var) as mesh, client(mesh) as sequencer:
        claim = await sequencer.gapless(NAME).take_async(2)
    async with serving(var) as mesh, client(mesh) as sequencer:
        numbers = sequencer.gapless(NAME)
        await numbers.confirm_async(claim, [1])
        await numbers.confirm_async(claim)

        assert await gaps(mesh) == []
        with pytest.raises(SequencerError, match="confirmed"):
            await numbers.release_async(claim)


async def test_numbers_of_another_holder_are_lost(var: Path) -> None:
    """An operator voided what the client holds: the end of its block says so."""
    async with serving(var) as mesh, client(mesh) as sequencer:
        stub = GaplessServiceStub(mesh.channel("sequencer", caller="loan"))
        with pytest.raises(NumbersLost):  # noqa: PT012 - the block is tested
            async with sequencer.gapless(NAME).reserve() as number:
                request = pb.VoidNumbersRequest(name=NAME, numbers=[number], reason="spoiled")
                await stub.VoidNumbers(request)

        assert await gaps(mesh) == [(1, 1, "VOID")]


def journal_stays(_: Path) -> None:
    """The server remembers."""


def journal_goes(var: Path) -> None:
    """The server is another one, which remembers nothing."""
    for file in (var / "data").glob("sequencer-witness.db*"):
        file.unlink()


@pytest.mark.embedded
@pytest.mark.parametrize("forget", [journal_stays, journal_goes])
async def test_a_number_that_was_used_is_not_reissued_by_an_older_copy(
    var: Path, forget: Callable[[Path], None]
) -> None:
    """CosId hands out 5,000 duplicates then; here a journal or a client's memory is enough."""
    copy = var / "copy"
    async with serving(var) as mesh, client(mesh) as sequencer:
        async with sequencer.gapless(NAME).reserve(2):
            pass
        begun = await sequencer.gapless(NAME).take_async(1)
    shutil.copytree(var / "data", copy)
    async with serving(var) as mesh, client(mesh) as sequencer:
        remembering = sequencer.gapless(NAME)
        await remembering.confirm_async(begun)
        async with remembering.reserve(2) as used:
            assert used == (4, 5)
    for file in (var / "data").glob("sequencer.db*"):
        file.unlink()
    for file in copy.glob("sequencer.db*"):
        shutil.copy(file, var / "data")
    forget(var)

    async with serving(var) as mesh, client(mesh) as sequencer:
        numbers = sequencer.gapless(NAME)
        numbers._last = remembering._last
        async with numbers.reserve() as number:
            assert number == 6
        assert await gaps(mesh) == [(3, 3, "LOST_TRACK"), (4, 5, "LOST_TRACK")]
