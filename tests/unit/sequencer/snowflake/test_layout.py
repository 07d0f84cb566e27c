"""Ids are put together and taken apart without anything spilling over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequencer.sdk.layout import JS_SAFE_BITS, MAX_BITS, Layout

layouts = st.builds(
    Layout,
    time_bits=st.integers(1, 41),
    worker_bits=st.integers(0, 10),
    sequence_bits=st.integers(0, 12),
    tick_ms=st.sampled_from([1, 10]),
)


@given(layout=layouts, data=st.data())
def test_an_id_tells_its_parts(layout: Layout, data: st.DataObject) -> None:
    """Whatever the bits, each id of a block decodes to the block's tick and worker."""
    tick = data.draw(st.integers(0, layout.ticks - 1))
    worker_id = data.draw(st.integers(0, layout.workers - 1))
    sequence = data.draw(st.integers(0, layout.per_tick - 1))

    id_ = layout.block(tick, worker_id)[sequence]

    decoded = layout.decode(id_)
    assert (decoded.tick, decoded.worker_id, decoded.sequence) == (tick, worker_id, sequence)
    assert 0 <= id_ < 1 << layout.bits


@given(layout=layouts, data=st.data())
def test_blocks_rise_with_time_and_never_meet(layout: Layout, data: st.DataObject) -> None:
    """All ids of a tick are below all of the next one; workers share none."""
    tick = data.draw(st.integers(0, layout.ticks - 2)) if layout.ticks > 1 else 0
    last = layout.block(tick, layout.workers - 1)

    assert last.stop == layout.block(tick + 1, 0).start
    if layout.workers > 1:
        assert layout.block(tick, 0).stop == layout.block(tick, 1).start


def test_the_default_is_the_classical_layout() -> None:
    """63 bits: never negative, 4,096 ids a millisecond, for 69 years."""
    layout = Layout()

    assert layout.bits == MAX_BITS
    assert layout.block(layout.ticks - 1, layout.workers - 1).stop == 2**63
    assert layout.time_of(layout.ticks).year == 2095
    assert layout.days_left(0) == 25_451


def test_a_layout_may_be_safe_for_javascript() -> None:
    """53 bits in ticks of 10 ms: 69 years, 16 workers, 64 ids a tick less than 2**53."""
    layout = Layout(time_bits=38, worker_bits=7, sequence_bits=8, tick_ms=10)

    assert layout.bits == JS_SAFE_BITS
    assert layout.block(layout.ticks - 1, layout.workers - 1)[-1] == 2**53 - 1
    assert layout.time_of(layout.ticks).year == 2113


@pytest.mark.parametrize(("tick", "worker_id"), [(-1, 0), (1 << 41, 0), (0, -1), (0, 1 << 10)])
def test_what_does_not_fit_is_refused(tick: int, worker_id: int) -> None:
    """Neither a time that is over nor a worker that does not exist becomes other bits."""
    with pytest.raises(ValueError, match="does not fit"):
        Layout().block(tick, worker_id)


@pytest.mark.parametrize("id_", [-1, 1 << 53])
def test_what_is_no_id_is_refused(id_: int) -> None:
    """A number with more bits than the layout, or a sign, is not decoded to something else."""
    with pytest.raises(ValueError, match="not an id"):
        Layout(time_bits=38, worker_bits=7, sequence_bits=8).decode(id_)


def test_ticks_follow_the_calendar() -> None:
    """A tick begins at the epoch plus its number; times before the epoch are negative."""
    layout = Layout(tick_ms=10, epoch=datetime(2026, 1, 1, tzinfo=UTC))
    moment = datetime(2026, 1, 1, 0, 0, 1, 5_000, tzinfo=UTC)

    assert layout.tick_at(moment) == 100
    assert layout.time_of(100) == moment - timedelta(milliseconds=5)
    assert layout.tick_at(layout.epoch - timedelta(milliseconds=1)) == -1
    assert layout.ticks_in(0.011) == 2
    assert Layout(time_bits=50, tick_ms=1_000).time_of(1 << 50).year == 9999
