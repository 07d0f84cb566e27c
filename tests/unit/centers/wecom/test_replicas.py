"""Two processes of the adapter on one database: WeCom hears of everything once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from centers.wecom.domain import CANCELLED, MEMBER_PENDING
from centers.wecom.handover import HOLDS_FOR
from centers.wecom.outgoing import Away
from mesh.storage import Address, Store, open_store
from mesh.telemetry import NullTracer
from tests.unit.centers.wecom.test_handover import CONTACT, NOBODY, Centre, failure


@pytest.fixture
def centre(store: Store) -> Centre:
    return Centre(store)


@pytest.fixture
async def other(database: Address, centre: Centre) -> AsyncIterator[Centre]:
    """Another process: a store of its own over the same database, and a WeCom of its own."""
    async with open_store(database, tracer=NullTracer()) as store:
        yield Centre(store, centre.clock)


async def test_a_task_that_one_process_hands_over_is_not_the_other_s(
    centre: Centre, other: Centre
) -> None:
    """While WeCom has not answered, nobody else offers it."""
    await centre.order()
    centre.server.meanwhile = other.handover._round
    await centre.handover._round()
    assert (await other.task()).standing.state == MEMBER_PENDING
    assert not other.server.tasks


async def test_the_task_of_a_process_that_died_is_offered_by_another(
    centre: Centre, other: Centre
) -> None:
    """Once its time with it is over, and not before."""
    await centre.order()
    await centre.tasks.offer(centre.clock.now(), centre.clock.now() + HOLDS_FOR, 1)
    assert not await other.handover._round()
    centre.clock.advance(HOLDS_FOR.total_seconds())
    assert await other.handover._round()
    assert (await centre.task()).standing.state == MEMBER_PENDING


async def test_who_comes_too_late_with_a_task_does_not_say_that_nobody_knows_it(
    centre: Centre, other: Centre
) -> None:
    """Another offered it meanwhile: only WeCom can say whether it can be cancelled."""
    await centre.order()
    centre.server.fails, other.server.fails = NOBODY, failure(grpc.StatusCode.UNAVAILABLE)
    other.server.takes = True

    async def stall() -> None:
        centre.clock.advance(HOLDS_FOR.total_seconds())
        await other.tasks.offer(centre.clock.now(), centre.clock.now() + HOLDS_FOR, 1)

    centre.server.meanwhile = stall
    with pytest.raises(Away):
        await centre.handover._round()
    assert (await centre.task()).offered
    other.server.fails = None
    assert (await other.messages.cancel(CONTACT)).standing.state == CANCELLED


async def test_a_reminder_reaches_wecom_through_one_process(centre: Centre, other: Centre) -> None:
    """The other one finds nothing to tell while it is told, nor afterwards."""
    await centre.order()
    await centre.handover._round()
    await centre.remind()
    centre.server.meanwhile = other.reminding._round
    assert await centre.reminding._round()
    assert not await other.reminding._round()
    assert centre.server.reminded == ["msg-5"]
    assert other.server.reminded == []
