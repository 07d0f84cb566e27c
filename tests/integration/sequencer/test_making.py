"""Making sequences, over real sockets and the real chain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from tests.integration.sequences import (
    ACTIVE,
    MAX_ID,
    NAME,
    STRICT,
    Pair,
    create,
    failure,
    get,
    lease,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

SNOWFLAKE = pb.SEQUENCE_KIND_SNOWFLAKE
TWO_DIGITS = pb.SerialFormat(template="SO{number:02}")


async def test_a_created_sequence_can_be_read(stub: Stub) -> None:
    """Defaults are filled in, and reading shows what creating answered."""
    made = await create(stub, NAME)

    assert (made.start, made.min_value, made.max_value, made.next_value) == (1, 1, MAX_ID, 1)
    assert (made.increment, made.cycle, made.kind) == (1, False, pb.SEQUENCE_KIND_SEGMENT)
    assert (made.state, made.epoch, made.lease_number, made.etag) == (ACTIVE, 0, 1, "1")
    assert (made.retention_days, made.remaining, made.returned) == (400, MAX_ID, 0)
    assert made.create_time.seconds
    assert not made.HasField("days_left")
    assert await get(stub, NAME) == made


async def test_creating_again_is_idempotent(stub: Stub) -> None:
    """The same settings answer the sequence as it stands; other settings are refused."""
    await create(stub, NAME, start=10)
    held = await lease(stub, NAME, "a", 5)

    again = await create(stub, NAME, start=10, max_value=MAX_ID)
    assert again.next_value == held.first + 5

    for other in ({"start": 11}, {"start": 10, "increment": 2}, {"start": 10, "kind": STRICT}):
        refused = await failure(create(stub, NAME, **other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SEQUENCE_EXISTS")
        assert refused.metadata["sequence"] == NAME


async def test_creating_at_once_is_idempotent(pair: Pair) -> None:
    """Calls that meet on two servers all get the one sequence."""
    made = await asyncio.gather(
        *(create(stub, NAME, start=5) for stub in (pair.one, pair.other) * 10)
    )

    assert {(one.start, one.lease_number) for one in made} == {(5, 1)}


@pytest.mark.parametrize(
    "name", ["", "Order", "1order", "order-x", "order.", "order..x", "订单", "x" * 101, "a@2026"]
)
async def test_bad_names_are_refused(stub: Stub, name: str) -> None:
    """Names are lower-case words joined by dots."""
    refused = await failure(create(stub, name))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.violations[0].field == "sequence.name"


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("sequence.start", {"start": 2, "max_value": 1}),
        ("sequence.start", {"start": 5, "min_value": 10}),
        ("sequence.start", {"min_value": 10, "max_value": 9}),
        ("sequence.increment", {"increment": 1_000_000_001}),
        ("sequence.cycle", {"cycle": True, "kind": STRICT}),
        ("sequence.layout", {"layout": pb.SnowflakeLayout(time_bits=40)}),
        ("sequence.kind", {"kind": 9}),
        ("sequence.retention_days", {"retention_days": -1}),
        ("sequence.callers[0].name", {"callers": [pb.Caller(name="")]}),
        ("sequence.callers[0].daily_quota", {"callers": [pb.Caller(name="a", daily_quota=-1)]}),
        ("sequence.callers", {"callers": [pb.Caller(name="a"), pb.Caller(name="a")]}),
        ("sequence.callers", {"callers": [pb.Caller(name="a", daily_quota=1)], "kind": SNOWFLAKE}),
        ("sequence.cycle", {"cycle": True, "serial": TWO_DIGITS}),
        ("sequence.max_value", {"max_value": 100, "serial": TWO_DIGITS}),
        ("sequence.start", {"start": 100, "serial": TWO_DIGITS}),
        ("sequence.min_value", {"start": -1, "serial": TWO_DIGITS}),
    ],
)
async def test_bad_settings_are_refused(stub: Stub, field: str, settings: dict[str, Any]) -> None:
    """Each with the field that is wrong, and nothing is made."""
    refused = await failure(create(stub, NAME, **settings))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
    )
    assert field in {violation.field for violation in refused.violations}
    assert (await failure(get(stub, NAME))).reason == "SEQUENCE_NOT_FOUND"


@pytest.mark.parametrize(("increment", "first"), [(1, 1), (-1, 99)])
async def test_a_serial_has_the_numbers_that_its_template_writes(
    stub: Stub, increment: int, first: int
) -> None:
    """So what is left of it is known, and the last number is not passed by."""
    made = await create(stub, NAME, serial=TWO_DIGITS, increment=increment)

    assert (made.next_value, made.max_value, made.remaining) == (first, 99, 99)
