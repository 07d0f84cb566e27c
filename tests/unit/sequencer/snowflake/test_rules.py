"""The rules by which workers are leased, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.errors import MeshError
from sequencer.sdk.layout import Layout
from sequencer.snowflake import rules
from sequencer.snowflake.errors import WorkerReason
from sequencer.snowflake.rules import Demand, Head, Moment, Vacancy, Window

LAYOUT = Layout()
NOW = Moment(layout=LAYOUT, tick=1_000_000)
NOBODY = Vacancy(free=None, used=0, earliest=0)
DEMAND = Demand(holder="mesh:shop/a", window_s=90)
PAST = Window(worker_id=3, token=1, holder="mesh:shop/b", from_tick=0, until_tick=990_000)


def test_a_worker_that_was_never_leased_begins_now() -> None:
    """The first one is worker 0, for the window that was asked for."""
    head, window = rules.leased(Head(), NOBODY, DEMAND, NOW)

    assert (window.worker_id, window.from_tick, window.until_tick) == (0, 1_000_000, 1_090_000)
    assert head == Head(number=1, position=1_090_000)
    assert window.token == 1


@pytest.mark.parametrize(
    ("until_tick", "last_tick", "floor", "begin"),
    [
        (990_000, -1, 0, 1_000_000),
        (1_000_040, -1, 0, 1_000_040),
        (990_000, 1_000_500, 0, 1_000_501),
        (990_000, -1, 1_200_000, 1_200_000),
    ],
    ids=["now", "where the last window ends", "after the client's ids", "after what was forgotten"],
)
def test_a_window_begins_after_all_that_may_be_used(
    until_tick: int, last_tick: int, floor: int, begin: int
) -> None:
    """The latest of four: now, its worker's last window, the client's last id, the floor."""
    vacancy = Vacancy(free=replace(PAST, until_tick=until_tick), used=4, earliest=0)

    _, window = rules.leased(Head(floor=floor), vacancy, replace(DEMAND, last_tick=last_tick), NOW)

    assert (window.worker_id, window.from_tick) == (3, begin)
    assert window.until_tick == begin + 90_000


def test_without_a_free_worker_it_is_told_when_one_will_be() -> None:
    """All leased: WORKERS_EXHAUSTED, with the time until the first window ends."""
    vacancy = Vacancy(free=None, used=1024, earliest=1_030_000)

    with pytest.raises(MeshError) as refused:
        rules.leased(Head(), vacancy, DEMAND, NOW)

    assert refused.value.reason is WorkerReason.WORKERS_EXHAUSTED
    assert refused.value.retry_after_s == 30


@pytest.mark.parametrize(
    ("moment", "vacancy", "last_tick"),
    [
        (NOW, Vacancy(free=None, used=1024, earliest=10**9), -1),
        (NOW, NOBODY, 10**9),
        (replace(NOW, tick=-1), NOBODY, -1),
    ],
    ids=["every window ends far ahead", "the client's ids lie far ahead", "before the epoch"],
)
def test_a_clock_that_stepped_back_far_is_told(
    moment: Moment, vacancy: Vacancy, last_tick: int
) -> None:
    """CLOCK_BEHIND names both times; nothing is granted that would burn a worker for long."""
    with pytest.raises(MeshError) as refused:
        rules.leased(Head(), vacancy, replace(DEMAND, last_tick=last_tick), moment)

    assert refused.value.reason is WorkerReason.CLOCK_BEHIND
    assert refused.value.metadata.keys() == {"server_time", "leased_until"}


def test_a_renewal_reaches_from_the_later_of_both_clocks() -> None:
    """A client that is ahead of a clock that stepped back goes on being renewed."""
    held = replace(PAST, until_tick=1_060_000)

    _, on_time = rules.extended(Head(), held, 90, 1_000_000, NOW)
    _, ahead = rules.extended(Head(), held, 90, 1_050_000, NOW)
    _, too_far = rules.extended(Head(), held, 90, 9_999_999, NOW)

    assert on_time.until_tick == 1_090_000
    assert ahead.until_tick == 1_140_000
    assert too_far.until_tick == 1_150_000


def test_a_window_never_becomes_shorter() -> None:
    """Its holder may know of the longer one only."""
    held = replace(PAST, until_tick=1_500_000)

    head, window = rules.extended(Head(position=1_500_000), held, 90, 1_000_000, NOW)

    assert window == held
    assert head.position == 1_500_000


def test_a_holder_that_is_hours_ahead_is_told_of_the_clock() -> None:
    """Its window is not extended for ever by what it says itself."""
    held = replace(PAST, until_tick=10**9)

    with pytest.raises(MeshError) as refused:
        rules.extended(Head(), held, 90, 10**9, NOW)

    assert refused.value.reason is WorkerReason.CLOCK_BEHIND


@pytest.mark.parametrize("window_s", [1.0, 90.0, rules.MAX_WINDOW_S])
def test_made_up_ticks_stretch_a_window_to_a_bound(window_s: float) -> None:
    """However often a holder says that it is at the end of its window, or far beyond it."""
    demand = replace(DEMAND, window_s=window_s)
    head, window = rules.leased(Head(), NOBODY, demand, NOW)

    while window.until_tick <= NOW.after(rules.TOLERANCE_S):
        head, window = rules.extended(head, window, window_s, 2**62, NOW)

    assert window.until_tick <= NOW.after(rules.MAX_AHEAD_S)
    with pytest.raises(MeshError) as refused:
        rules.extended(head, window, window_s, 2**62, NOW)
    assert refused.value.reason is WorkerReason.CLOCK_BEHIND


def test_a_made_up_last_tick_leads_to_the_same_bound() -> None:
    """A new window behind it ends no later, and one further ahead is refused."""
    furthest = NOW.after(rules.TOLERANCE_S)
    demand = replace(DEMAND, window_s=rules.MAX_WINDOW_S, last_tick=furthest - 1)

    _, window = rules.leased(Head(), NOBODY, demand, NOW)

    assert window.until_tick == NOW.after(rules.MAX_AHEAD_S)
    with pytest.raises(MeshError) as refused:
        rules.leased(Head(), NOBODY, replace(demand, last_tick=furthest), NOW)
    assert refused.value.reason is WorkerReason.CLOCK_BEHIND


@pytest.mark.parametrize(("next_tick", "until_tick"), [(500, 500), (10**9, 990_000), (-5, 0)])
def test_a_release_cuts_the_window_and_spends_the_token(next_tick: int, until_tick: int) -> None:
    """It ends where its holder says, within the window; nobody renews it any more."""
    assert rules.released(PAST, next_tick) == replace(PAST, until_tick=until_tick, token=0)


def test_the_time_bits_end_and_do_not_spill_over() -> None:
    """The last window ends with the layout; after it LAYOUT_EXHAUSTED, to old and new holders."""
    moment = Moment(layout=LAYOUT, tick=LAYOUT.ticks - 1_000)
    head, window = rules.leased(Head(), NOBODY, DEMAND, moment)
    assert window.until_tick == LAYOUT.ticks
    over = Moment(layout=LAYOUT, tick=LAYOUT.ticks)

    with pytest.raises(MeshError) as refused:
        rules.leased(head, NOBODY, DEMAND, over)
    assert refused.value.reason is WorkerReason.LAYOUT_EXHAUSTED
    with pytest.raises(MeshError) as refused:
        rules.extended(head, window, 90, LAYOUT.ticks, over)
    assert refused.value.reason is WorkerReason.LAYOUT_EXHAUSTED


def test_what_was_forgotten_is_jumped_over() -> None:
    """A store that was put back grants nothing before the end of any window it may lack."""
    stored = Head(number=10, position=1_000_000)

    behind = rules.fenced(stored, Head(number=12, position=1_090_000), NOW)
    level = rules.fenced(stored, Head(number=9, position=1_000_000), NOW)

    assert behind == Head(number=13, position=1_090_000, floor=1_900_000)
    assert level == stored


def test_a_window_from_before_a_jump_is_doubtful() -> None:
    """Its worker may have had another holder since, whom the store forgot."""
    head = Head(number=13, position=1_090_000, floor=1_900_000)

    assert rules.is_doubtful(head, PAST)
    assert not rules.is_doubtful(head, replace(PAST, from_tick=1_900_000, until_tick=1_990_000))
    assert not rules.is_doubtful(Head(), PAST)


def test_what_nobody_can_know_moves_nothing() -> None:
    """A client cannot burn a sequence by telling of windows that lie hours ahead."""
    for absurd in (Head(position=10**10), Head(number=2**63 - 1)):
        with pytest.raises(MeshError):
            rules.checked(absurd, NOW)
