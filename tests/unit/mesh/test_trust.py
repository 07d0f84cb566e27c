"""What a process takes from the identity centre, and what it makes of silence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from engine.mesh.v1 import trust_pb2 as pb
from mesh import Servicer
from mesh.clock import ManualClock
from mesh.testing import serve
from mesh.tokens import SILENCE_S, TokenVerifier, write_trust
from mesh.trust import TrustFeed

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["TrustService"]
STANDS = pb.PollRevocationsResponse(epoch=1)


class Centre:
    """An identity centre that answers what it is told to answer, when it is told to."""

    def __init__(self) -> None:
        key = {k: str(v) for k, v in OKPKey.generate_key("Ed25519").as_dict(private=False).items()}
        told = pb.JsonWebKey(kid="k", alg="Ed25519", use="sig", **key)
        self.keys = pb.GetKeySetResponse(keys=[told])
        self.asked: list[tuple[int, int]] = []
        self.answers: asyncio.Queue[pb.PollRevocationsResponse] = asyncio.Queue()

    async def GetKeySet(self, _request: Any, _context: Any) -> pb.GetKeySetResponse:
        return self.keys

    async def PollRevocations(
        self, request: pb.PollRevocationsRequest, _context: Any
    ) -> pb.PollRevocationsResponse:
        self.asked.append((request.place, request.epoch))
        return await self.answers.get()


class Process:
    """A process that listens to the centre, at the time of a clock."""

    def __init__(self, folder: Path) -> None:
        write_trust(folder, {})
        self.clock = ManualClock()
        self.verifier = TokenVerifier(json.loads((folder / "trust.json").read_text()), self.clock)

    @property
    def may_write(self) -> bool:
        return not self.verifier.pulse.is_silent


@pytest.fixture
def process(var: Path) -> Process:
    return Process(var)


@asynccontextmanager
async def listening(process: Process, centre: Centre, **bounds: float) -> AsyncIterator[None]:
    served = Servicer(descriptor=DESCRIPTOR, implementation=centre)
    async with (
        serve(served, user="", caller="customer", rights={"trust.watch"}) as channel,
        TrustFeed(channel, process.verifier, **bounds),
    ):
        await until(lambda: bool(centre.asked))
        yield


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what comes over the network."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - another task's state has no event here
            await asyncio.sleep(0)


async def test_keys_come_once_all_that_ended_is_known(process: Process) -> None:
    """A block with more behind it is not enough: a token of an ended session would pass."""
    centre = Centre()
    async with listening(process, centre):
        ended = pb.Revocation(session_id="s1")
        ended.expire_time.FromDatetime(process.clock.now().replace(year=2100))
        centre.answers.put_nowait(pb.PollRevocationsResponse(revocations=[ended], more=True))
        await until(lambda: "s1" in process.verifier._ended)
        assert not process.verifier.has_keys
        assert not process.may_write
        centre.answers.put_nowait(STANDS)
        await until(lambda: process.verifier.has_keys)
        assert process.may_write


async def test_a_process_that_hears_nothing_stops_to_write_until_it_does(process: Process) -> None:
    """Any message that says that nothing else has ended will do."""
    centre = Centre()
    async with listening(process, centre):
        centre.answers.put_nowait(STANDS)
        await until(lambda: process.may_write)
        process.clock.advance(SILENCE_S)
        assert not process.may_write
        centre.answers.put_nowait(STANDS)  # to what was asked before the silence
        centre.answers.put_nowait(STANDS)
        await until(lambda: process.may_write)


async def test_how_long_it_may_hear_nothing_can_be_set(process: Process) -> None:
    """It is a setting."""
    centre = Centre()
    async with listening(process, centre, limit_s=2):
        centre.answers.put_nowait(STANDS)
        await until(lambda: process.may_write)
        process.clock.advance(2)
        assert not process.may_write


async def test_an_answer_proves_what_was_known_when_it_was_asked_for(process: Process) -> None:
    """One that was long on its way proves nothing any more."""
    centre = Centre()
    async with listening(process, centre):
        process.clock.advance(SILENCE_S)
        centre.answers.put_nowait(STANDS)
        await until(lambda: process.verifier.has_keys)
        assert not process.may_write
        await until(lambda: len(centre.asked) == 2)
        centre.answers.put_nowait(STANDS)
        await until(lambda: process.may_write)


async def test_a_question_without_an_answer_is_asked_again(process: Process) -> None:
    """Its other end may be gone without a word."""
    centre = Centre()
    async with listening(process, centre, answer_s=0.05):
        await until(lambda: len(centre.asked) > 2)


async def test_each_question_goes_on_where_the_answer_before_ended(process: Process) -> None:
    """Any process of the centre can answer it."""
    centre = Centre()
    async with listening(process, centre):
        centre.answers.put_nowait(pb.PollRevocationsResponse(epoch=3, place=7))
        await until(lambda: len(centre.asked) == 2)
        assert centre.asked == [(0, 0), (7, 3)]


async def test_an_epoch_is_taken_over(process: Process) -> None:
    """Whoever remembers what the verifier said must ask again."""
    centre = Centre()
    async with listening(process, centre):
        centre.answers.put_nowait(STANDS)
        await until(lambda: process.verifier.has_keys)
        before = process.verifier.generation
        centre.answers.put_nowait(pb.PollRevocationsResponse(epoch=2))
        await until(lambda: process.verifier.generation == before + 1)
