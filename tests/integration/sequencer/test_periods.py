"""The periods of a serial: each is a sequence, made when it is first used."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from tests.integration.sequences import (
    ACTIVE,
    DRAINING,
    MAX_ID,
    NAME,
    RETIRED,
    Pair,
    create,
    failure,
    get,
    give_back,
    lease,
    set_state,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

TOGETHER = 50


@pytest.mark.parametrize(
    ("reset", "period", "others"),
    [
        (pb.SERIAL_RESET_DAY, "20261126", ["2026", "202611"]),
        (pb.SERIAL_RESET_MONTH, "202611", ["2026", "20261126"]),
        (pb.SERIAL_RESET_YEAR, "2026", ["202611", "20261126"]),
        (pb.SERIAL_RESET_UNSPECIFIED, "", ["2026", "202611", "20261126"]),
    ],
)
async def test_each_period_of_a_serial_counts_from_its_start(
    stub: Stub, reset: pb.SerialReset.ValueType, period: str, others: list[str]
) -> None:
    """It is made at its first use, by nothing else, and only in the parent's rhythm."""
    await _serial(stub, reset)
    if period:
        child = f"{NAME}@{period}"
        assert (await failure(get(stub, child))).reason == "SEQUENCE_NOT_FOUND"
        assert (await lease(stub, child, "a", 10)).first == 1
        assert (await lease(stub, NAME, "a", 1)).first == 1
        assert (await get(stub, child)).next_value == 11
    for other in others:
        refused = await failure(lease(stub, f"{NAME}@{other}", "a", 1))
        assert refused.reason == "SEQUENCE_NOT_FOUND"


async def test_two_servers_make_a_period_once(pair: Pair) -> None:
    """Both asked at once for a day that is new."""
    await _serial(pair.one, pb.SERIAL_RESET_DAY)

    held = await asyncio.gather(
        *(lease(stub, f"{NAME}@20261126", "a", 1) for stub in (pair.one, pair.other) * 5)
    )

    assert sorted(one.first for one in held) == list(range(1, 11))


async def test_a_period_goes_on_though_its_serial_is_renamed(stub: Stub) -> None:
    """By the old name and the new one: no number of the day comes twice."""
    await _serial(stub, pb.SERIAL_RESET_DAY)
    await lease(stub, f"{NAME}@20261126", "a", 10)
    await stub.RenameSequence(pb.RenameSequenceRequest(name=NAME, new_name="shop.sale"))

    assert (await lease(stub, "shop.sale@20261126", "b", 1)).first == 11
    assert (await lease(stub, f"{NAME}@20261126", "b", 1)).first == 12
    assert (await lease(stub, f"{NAME}@20261127", "b", 1)).first == 1
    assert (await lease(stub, "shop.sale@20261127", "b", 1)).first == 2


async def test_periods_share_the_state_and_callers_of_their_serial(stub: Stub) -> None:
    """Those that are there, and those that would be made."""
    await _serial(stub, pb.SERIAL_RESET_DAY)
    old, new = f"{NAME}@20261126", f"{NAME}@20261127"
    await lease(stub, old, "a", 1)
    update = pb.Sequence(name=NAME, callers=[pb.Caller(name="nobody")])
    await stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=update))
    for name in (old, new):
        assert (await failure(lease(stub, name, "a", 1))).reason == "CALLER_NOT_ALLOWED"
    await stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=pb.Sequence(name=NAME)))

    await set_state(stub, NAME, DRAINING)
    newer = f"{NAME}@20261128"
    for name in (old, newer):
        assert (await failure(lease(stub, name, "a", 1))).reason == "SEQUENCE_CLOSED"
    await set_state(stub, NAME, ACTIVE)
    assert (await lease(stub, old, "a", 1)).first == 2
    await set_state(stub, NAME, DRAINING)
    await set_state(stub, NAME, RETIRED)
    for name in (old, newer):
        assert (await failure(lease(stub, name, "a", 1))).reason == "SEQUENCE_CLOSED"


async def test_a_call_that_is_refused_makes_no_period(stub: Stub) -> None:
    """Of the wrong kind, by somebody else, of a lease that never was, beyond the sequence."""
    await _serial(stub, pb.SERIAL_RESET_DAY)
    day = f"{NAME}@20261126"
    never = pb.Lease(lease_number=7, client_id="ops/a")
    kinds = await failure(lease(stub, day, "a", 1, kind=pb.SEQUENCE_KIND_STRICT))
    beyond = pb.FenceSequenceRequest(name=day, at_least=MAX_ID)

    assert kinds.reason == "KIND_MISMATCH"
    assert (await failure(give_back(stub, day, never, 1))).reason == "SEQUENCE_NOT_FOUND"
    assert (await failure(stub.FenceSequence(beyond))).reason == "INVALID_ARGUMENT"
    update = pb.Sequence(name=NAME, callers=[pb.Caller(name="nobody")])
    await stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=update))
    assert (await failure(lease(stub, day, "a", 1))).reason == "CALLER_NOT_ALLOWED"

    assert [one.name for one in await _all(stub)] == [NAME]


async def test_a_fence_is_moved_before_the_first_id_of_a_period(stub: Stub) -> None:
    """As after a store was put back to a day before it."""
    await _serial(stub, pb.SERIAL_RESET_DAY)
    day = f"{NAME}@20261126"

    await stub.FenceSequence(pb.FenceSequenceRequest(name=day, at_least=70))

    assert (await lease(stub, day, "a", 1)).first == 71


async def test_a_serial_of_many_days_is_closed_and_opened_in_time(stub: Stub) -> None:
    """Each of its periods is, and one that is retired stays so."""
    await _serial(stub, pb.SERIAL_RESET_DAY)
    days = [f"{NAME}@2026{month:02}{day:02}" for month in range(1, 13) for day in range(1, 26)]
    for start in range(0, len(days), TOGETHER):
        some = days[start : start + TOGETHER]
        await asyncio.gather(*(lease(stub, day, "a", 1) for day in some))
    for state in (DRAINING, RETIRED):
        await set_state(stub, days[7], state)

    for state in (DRAINING, ACTIVE, DRAINING):
        await set_state(stub, NAME, state)
        states = {one.name: one.state for one in await _all(stub)}
        assert len(states) == len(days) + 1
        assert {name for name, one in states.items() if one != state} == {days[7]}


async def _all(stub: Stub) -> list[pb.Sequence]:
    return list((await stub.ListSequences(pb.ListSequencesRequest(page_size=1_000))).sequences)


async def _serial(stub: Stub, reset: pb.SerialReset.ValueType) -> None:
    dates = {pb.SERIAL_RESET_DAY: "{date:%Y%m%d}", pb.SERIAL_RESET_MONTH: "{date:%Y%m}"}
    date = dates.get(reset, "{date:%Y}" if reset else "")
    serial = pb.SerialFormat(template=f"SO{date}{{number:08}}", zone="UTC", reset=reset)
    await create(stub, NAME, serial=serial)
