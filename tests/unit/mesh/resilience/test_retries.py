"""Which calls are sent again, and when."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.mesh.v1 import bus_pb2
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason
from mesh.resilience import (
    FAILURES,
    Budget,
    Counts,
    Failure,
    Retries,
    is_read,
    is_repeatable,
    may_try_again,
)
from mesh.resilience.retries import FIRST_BACKOFF_S, LAST_BACKOFF_S, SPREAD
from mesh.telemetry import Meters

BUS = bus_pb2.DESCRIPTOR.services_by_name["BusService"].full_name
READ, ONCE = f"/{BUS}/ListGroups", f"/{BUS}/Append"
LOST = Failure(code=grpc.StatusCode.UNAVAILABLE)
UNSENT = Failure(code=grpc.StatusCode.UNAVAILABLE, is_unsent=True)


class Bench:
    """Retries of one channel; luck is what a test says."""

    def __init__(self, attempts: int = 3, percent: float = 20.0, luck: float = 1.0) -> None:
        self.meters = Meters()
        self.luck = luck
        self.retries = Retries(
            attempts, Budget(percent, 0.0), Counts(self.meters), lambda: self.luck
        )

    def wait_s(
        self,
        path: str = READ,
        failure: Failure = LOST,
        tried: int = 1,
        *,
        left_s: float = 10.0,
        elsewhere: bool = True,
    ) -> float | None:
        return self.retries.wait_s(
            path, failure, tried, left_s=left_s, now=0.0, elsewhere=elsewhere
        )

    def counted(self, name: str) -> int:
        return self.meters.counter(name).value


def answered(reason: MeshReason, retry_after_s: float | None = None) -> Failure:
    """How a call failed that a service answered."""
    error = MeshError(reason, retry_after_s=retry_after_s)
    status = error.to_status().SerializeToString()
    return Failure.read(error.code, error.detail, ((STATUS_DETAILS_KEY, status),))


@pytest.mark.parametrize(
    ("path", "failure", "again"),
    [
        (READ, LOST, True),
        (ONCE, LOST, False),
        ("/t.T/NotKnown", LOST, False),
        (READ, UNSENT, True),
        (ONCE, UNSENT, True),
        ("/t.T/NotKnown", UNSENT, True),
        (READ, Failure(code=grpc.StatusCode.DEADLINE_EXCEEDED), False),
        (READ, Failure(code=grpc.StatusCode.INTERNAL), False),
        (READ, Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED), False),
        (READ, answered(MeshReason.UNAVAILABLE), False),
        (READ, answered(MeshReason.OVERLOADED, 0.5), True),
        (ONCE, answered(MeshReason.OVERLOADED, 0.5), False),
        (READ, answered(MeshReason.OUT_OF_SCOPE, 0.5), False),
    ],
)
def test_a_call_is_sent_again_where_that_does_no_harm_and_may_do_good(
    path: str, failure: Failure, again: bool
) -> None:
    """The contract says what may run twice, and a service that answered is believed."""
    assert (Bench().wait_s(path, failure) is not None) is again


def test_what_may_have_run_is_paid_for() -> None:
    """With an empty budget it is not sent again; a call that never left is, all the same."""
    bench = Bench(percent=0.0)
    assert bench.wait_s(READ, LOST) is None
    assert bench.wait_s(READ, UNSENT) is not None
    assert bench.counted("mesh.retries_refused") == 1
    assert bench.counted("mesh.retries") == 1


def test_there_is_an_end_to_tries() -> None:
    """The first one counts."""
    assert [Bench().wait_s(tried=tried) is not None for tried in (1, 2, 3)] == [True, True, False]
    assert Bench(attempts=1).wait_s() is None


def test_the_first_retry_goes_out_at_once_to_another_process() -> None:
    """Where there is no other one, it waits as the next ones do."""
    assert Bench().wait_s(tried=1) == 0.0
    assert Bench().wait_s(tried=1, elsewhere=False) == FIRST_BACKOFF_S
    assert Bench().wait_s(tried=2) == 2 * FIRST_BACKOFF_S
    assert Bench(attempts=20).wait_s(tried=19) == LAST_BACKOFF_S


def test_a_service_that_says_when_is_called_then() -> None:
    """Not before, and not all at once."""
    asked = answered(MeshReason.OVERLOADED, 0.5)
    assert Bench(luck=0.0).wait_s(READ, asked) == 0.5
    assert Bench(luck=1.0).wait_s(READ, asked) == 0.5 * (1 + SPREAD)


@given(
    left_s=st.floats(-1, 3),
    luck=st.floats(0, 1),
    tried=st.integers(1, 4),
    retry_after_s=st.none() | st.floats(0, 5),
    elsewhere=st.booleans(),
)
def test_no_try_begins_after_the_deadline(
    *, left_s: float, luck: float, tried: int, retry_after_s: float | None, elsewhere: bool
) -> None:
    """Whatever is asked for, and whatever was drawn."""
    failure = LOST if retry_after_s is None else answered(MeshReason.OVERLOADED, retry_after_s)
    wait_s = Bench(5, luck=luck).wait_s(READ, failure, tried, left_s=left_s, elsewhere=elsewhere)
    assert wait_s is None or 0 <= wait_s < left_s


def test_levels_are_read_from_contracts() -> None:
    """What is not known may not run twice."""
    assert is_repeatable(READ)
    assert is_read(READ)
    assert not is_repeatable(ONCE)
    assert not is_repeatable("/t.T/NotKnown")
    assert not is_read("/t.T/NotKnown")


def test_only_what_speaks_against_a_process_is_a_failure() -> None:
    """A no is an answer."""
    codes = grpc.StatusCode
    assert {codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED, codes.INTERNAL} <= FAILURES
    answers = {codes.INVALID_ARGUMENT, codes.NOT_FOUND, codes.PERMISSION_DENIED, codes.CANCELLED}
    assert FAILURES.isdisjoint({codes.OK, codes.ABORTED, codes.UNIMPLEMENTED, *answers})


def test_details_that_cannot_be_read_are_an_answer_all_the_same() -> None:
    """Without a time to come again."""
    failure = Failure.read(grpc.StatusCode.UNAVAILABLE, "", ((STATUS_DETAILS_KEY, b"\xff\xff"),))
    assert failure.is_answered
    assert failure.retry_after_s is None


def test_a_blocking_call_is_tried_again_by_the_same_rules() -> None:
    """At once: it does not wait for a service that says when."""

    class Error:
        def __init__(self, code: grpc.StatusCode, details: str, trailing: Any = ()) -> None:
            self.code, self.details = (lambda: code), (lambda: details)
            self.trailing_metadata = lambda: trailing

    unavailable = grpc.StatusCode.UNAVAILABLE
    assert may_try_again(Error(unavailable, "Socket closed"), READ)
    assert not may_try_again(Error(unavailable, "Socket closed"), ONCE)
    assert may_try_again(Error(unavailable, "failed to connect to all addresses; x"), ONCE)
    error = MeshError(MeshReason.UNAVAILABLE, retry_after_s=1.0)
    status = ((STATUS_DETAILS_KEY, error.to_status().SerializeToString()),)
    assert not may_try_again(Error(unavailable, "", status), READ)
