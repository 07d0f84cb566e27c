"""How much of its time a request passes on to the calls that it makes."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from mesh import context as wire
from mesh.context import RequestContext
from mesh.deadline import MARGIN_S, Deadline
from mesh.outgoing import DEFAULT_TIMEOUT_S, Outgoing, no_proofs


def limit_s(deadline: Deadline | None, own: float | None = None) -> float:
    """Seconds that a call may take which a request with this deadline makes."""
    with wire.using(RequestContext(deadline=deadline)):
        return Outgoing(no_proofs).timeout_s(own)


@given(left_s=st.floats(-5, 100), own=st.none() | st.floats(0, 100))
def test_a_call_ends_before_the_request_that_makes_it(left_s: float, own: float | None) -> None:
    """By a margin in which the error travels back; never later than its own bound."""
    before = time.monotonic()
    limit = limit_s(Deadline(before + left_s), own)
    assert 0 <= limit <= max(0.0, left_s - MARGIN_S)
    assert own is None or limit <= own


def test_each_hop_keeps_a_margin_back() -> None:
    """Three services down, three of them."""
    began = time.monotonic()
    left_s = 10.0
    for _ in range(3):
        left_s = limit_s(Deadline(time.monotonic() + left_s))
    took_s = time.monotonic() - began
    assert 10.0 - 3 * MARGIN_S - took_s <= left_s <= 10.0 - 3 * MARGIN_S


def test_a_request_without_time_gives_none() -> None:
    """Not a negative one, which somebody might take for no bound."""
    assert limit_s(Deadline.after(MARGIN_S / 2)) == 0
    assert limit_s(Deadline.after(-1), own=5) == 0


def test_outside_a_request_a_call_is_bounded_all_the_same() -> None:
    """By its own bound, else by the default."""
    assert limit_s(None) == DEFAULT_TIMEOUT_S
    assert limit_s(None, own=60) == 60
