"""Two processes of a service, one of which fails or is slow, over real channels and lanes."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import grpc
import pytest

from mesh import MeshError, MeshReason
from mesh.resilience import Outliers
from tests.integration.resilience.desk import ASK, LIST, desks, outcome, until

NO_EJECTION = Outliers(max_percent=0)
FOR_LONG = Outliers(base_s=600, longest_s=600)


async def test_a_read_is_sent_again_when_the_service_says_so(var: Path) -> None:
    """The caller notices nothing but the time; the retry is counted."""
    async with desks(var, outliers=NO_EJECTION) as world:
        busy = MeshError(MeshReason.OVERLOADED, retry_after_s=0.01)
        for desk in world.desks:
            desk.faults.fail("GetCustomer", busy, times=1)
        assert await world.ask() in {1, 2}
        assert world.counted("mesh.retries") == 2


async def test_a_read_that_stays_refused_ends_with_that(var: Path) -> None:
    """After three tries, with what the service said."""
    async with desks(var, outliers=NO_EJECTION) as world:
        busy = MeshError(MeshReason.OVERLOADED, retry_after_s=0.001)
        for desk in world.desks:
            desk.faults.fail("GetCustomer", busy)
        assert await outcome(world.stub.GetCustomer(ASK)) == "OVERLOADED"
        assert world.counted("mesh.retries") == 2


async def test_without_a_budget_no_call_is_sent_twice(var: Path) -> None:
    """It is said once, and counted."""
    async with desks(var, retry_percent=0.0, outliers=NO_EJECTION) as world:
        busy = MeshError(MeshReason.OVERLOADED, retry_after_s=0.001)
        for desk in world.desks:
            desk.faults.fail("GetCustomer", busy, times=1)
        assert await outcome(world.stub.GetCustomer(ASK)) == "OVERLOADED"
        assert world.counted("mesh.retries_refused") == 1
        assert world.counted("mesh.retries") == 0


async def test_a_call_is_not_sent_again_after_its_deadline(var: Path) -> None:
    """What it was told is what it is told; nobody waits longer for a worse answer."""
    async with desks(var, outliers=NO_EJECTION) as world:
        for desk in world.desks:
            desk.faults.fail("GetCustomer", MeshError(MeshReason.OVERLOADED, retry_after_s=60))
        assert await outcome(world.stub.GetCustomer(ASK, timeout=5)) == "OVERLOADED"
        assert world.counted("mesh.retries") == 0


@pytest.mark.parametrize("by_caller", [True, False])
async def test_a_call_that_waits_to_be_sent_again_can_be_given_up(
    var: Path, by_caller: bool
) -> None:
    """By its caller, or by the end of the channel; then it is sent no more."""
    async with desks(var, outliers=NO_EJECTION) as world:
        for desk in world.desks:
            desk.faults.fail("GetCustomer", MeshError(MeshReason.OVERLOADED, retry_after_s=50))
        call = world.stub.GetCustomer(ASK, timeout=100)
        await until(lambda: world.counted("mesh.retries") == 1)
        if by_caller:
            assert call.cancel()
        else:
            await world.channel.close()
        assert await call.code() is grpc.StatusCode.CANCELLED


async def test_a_process_that_fails_gets_no_calls(var: Path) -> None:
    """Once it was found out the other one has them all."""
    async with desks(var, outliers=FOR_LONG) as world:
        world.desks[0].faults.fail("GetCustomer", MeshReason.INTERNAL)
        async with asyncio.timeout(30):
            while not world.counted("mesh.ejections"):  # the other may be called first for long
                await asyncio.gather(*(outcome(world.stub.GetCustomer(ASK)) for _ in range(40)))
        assert world.channel.balancer.ejected == 1
        ends = {await outcome(world.stub.GetCustomer(ASK)) for _ in range(40)}
        assert ends == {"OK"}


async def test_a_method_that_fails_everywhere_is_not_called_any_more(var: Path) -> None:
    """Callers hear why at once; other methods of the same processes go on."""
    async with desks(var, outliers=NO_EJECTION) as world:
        for desk in world.desks:
            desk.faults.fail("GetCustomer", MeshReason.INTERNAL)
        ends = Counter([await outcome(world.stub.GetCustomer(ASK)) for _ in range(300)])
        assert ends.keys() == {"INTERNAL", "CIRCUIT_OPEN"}
        assert ends["CIRCUIT_OPEN"] > 100
        assert world.counted("mesh.breaker_refusals") == ends["CIRCUIT_OPEN"]
        assert await outcome(world.stub.ListCustomers(LIST)) == "OK"


async def test_a_no_is_no_failure(var: Path) -> None:
    """However often it is said."""
    async with desks(var) as world:
        for desk in world.desks:
            desk.faults.fail("GetCustomer", MeshReason.OUT_OF_SCOPE)
        ends = {await outcome(world.stub.GetCustomer(ASK)) for _ in range(100)}
        assert ends == {"OUT_OF_SCOPE"}
        assert world.channel.balancer.ejected == 0


async def test_a_process_that_had_no_time_is_not_blamed(var: Path) -> None:
    """Calls whose deadline has passed, or all but passed, say nothing of it."""
    async with desks(var, outliers=FOR_LONG) as world:
        for desk in world.desks:
            desk.gate.clear()
        for timeout in (0.0, -1.0, 0.001) * 10:
            assert await outcome(world.stub.GetCustomer(ASK, timeout=timeout)) != "OK"
        assert world.channel.balancer.ejected == 0
        for _ in range(10):
            await outcome(world.stub.GetCustomer(ASK, timeout=0.05))
        assert world.channel.balancer.ejected == 1


async def test_a_slow_read_is_answered_by_another_process(var: Path) -> None:
    """The first answer wins, and the slow one is told that nobody waits for it."""
    async with desks(var, hedge_after_s=0.02) as world:
        slow, quick = world.desks
        slow.gate.clear()
        async with asyncio.timeout(30):
            while not slow.asked:  # the other may be called first for long
                answers = await asyncio.gather(*(world.ask(timeout=60) for _ in range(16)))
                assert answers == [quick.number] * 16
        await until(slow.given_up.is_set)
        assert 1 <= world.counted("mesh.hedges_won") <= world.counted("mesh.hedges")


async def test_the_first_answer_wins_also_when_it_is_the_first_one_s(var: Path) -> None:
    """Then the second attempt is given up."""
    async with desks(var, hedge_after_s=0.02) as world:
        for desk in world.desks:
            desk.gate.clear()
        call = world.stub.GetCustomer(ASK, timeout=60)
        await until(lambda: world.counted("mesh.hedges") == 1)
        await until(lambda: sum(desk.asked for desk in world.desks) == 2)
        first, other = (world.desks[number - 1] for number in world.order)
        first.gate.set()
        assert (await call).customer.customer_id == first.number
        await until(other.given_up.is_set)


@pytest.mark.parametrize(("second_fails", "end"), [(False, "OK"), (True, "OVERLOADED")])
async def test_a_call_that_fails_waits_for_its_second_attempt(
    var: Path, second_fails: bool, end: str
) -> None:
    """When that fails too it ends as the first one did; it is not sent a third time."""
    async with desks(var, hedge_after_s=0.02) as world:
        for desk in world.desks:
            desk.gate.clear()
        call = world.stub.GetCustomer(ASK, timeout=60)
        await until(lambda: len(world.order) == 2)
        first, other = (world.desks[number - 1] for number in world.order)
        first.error = MeshError(MeshReason.OVERLOADED, retry_after_s=0.01)
        other.error = MeshError(MeshReason.INTERNAL) if second_fails else None
        first.gate.set()
        await until(lambda: call.story.held is not None)
        other.gate.set()
        assert await outcome(call) == end
        assert world.counted("mesh.retries") == 0


async def test_a_call_that_is_given_up_is_given_up_everywhere(var: Path) -> None:
    """Also its second attempt."""
    async with desks(var, hedge_after_s=0.02) as world:
        for desk in world.desks:
            desk.gate.clear()
        call = world.stub.GetCustomer(ASK, timeout=60)
        await until(lambda: sum(desk.asked for desk in world.desks) == 2)
        call.cancel()
        for desk in world.desks:
            await until(desk.given_up.is_set)


async def test_hedges_are_paid_for_out_of_the_budget_of_retries(var: Path) -> None:
    """With none left a slow call is waited for."""
    async with desks(var, hedge_after_s=0.01, retry_percent=0.0) as world:
        for desk in world.desks:
            desk.gate.clear()
        call = world.stub.GetCustomer(ASK, timeout=60)
        await until(lambda: world.counted("mesh.retries_refused") == 1)
        for desk in world.desks:
            desk.gate.set()
        assert (await call).customer.customer_id in {1, 2}
        assert sum(desk.asked for desk in world.desks) == 1


async def test_nothing_is_hedged_unless_that_is_asked_for(var: Path) -> None:
    """By default a call runs once."""
    async with desks(var) as world:
        assert world.channel.hedger is None
