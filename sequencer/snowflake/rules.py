"""The rules by which workers are leased. Pure: no clock, no store.

Windows of one worker id never overlap: each begins where the one before it ended
or later, whatever the clock says. So its holders never make the same id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mesh.errors import MeshError
from sequencer.sdk.layout import Layout
from sequencer.snowflake.errors import WorkerReason

MAX_WINDOW_S: Final = 900.0
"""The longest window; so long a worker id is of no use after its holder was killed."""

TOLERANCE_S: Final = 3600.0
"""How far ahead of the server's clock a client may be that holds later ids."""

MAX_AHEAD_S: Final = TOLERANCE_S + MAX_WINDOW_S
"""How far ahead of the server's clock a window ends at most, whatever tick its holder tells.

So long a worker id may be held by a client that is ahead, or says so.
"""

GRACE_S: Final = 0.05
"""A worker is free so long before its window ends; the next one begins where it does."""

MAX_NUMBER: Final = 2**62
"""No sequence has leased windows more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The ticks `from_tick` … `until_tick - 1` of a worker id, leased to `holder`.

    `token` proves who holds it; 0 once it was given back.
    """

    worker_id: int
    token: int
    holder: str
    from_tick: int
    until_tick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a sequence stands: how often windows were granted, and how far any ever reached.

    No window begins before `floor`: earlier ones may have been forgotten.
    """

    number: int = 0
    position: int = 0
    floor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacancy:
    """What there is to lease: the lowest worker that is free now, how many were ever leased.

    `earliest` is when the first of those that are leased comes free.
    """

    free: Window | None
    used: int
    earliest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The present tick of a sequence's layout, by the server's clock."""

    layout: Layout
    tick: int

    def after(self, seconds: float) -> int:
        """The tick in so many seconds."""
        return self.tick + self.layout.ticks_in(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A client's wish for a worker: a window of `window_s`, behind the last tick it has used."""

    holder: str
    window_s: float
    last_tick: int = -1


def fenced(head: Head, known: Head, moment: Moment) -> Head:
    """The head, when somebody knows of grants that it lacks: its store was put back.

    What was forgotten ended within the longest window from now, so nothing new
    begins before that, and no window from before is extended.
    """
    if known.number <= head.number and known.position <= head.position:
        return head
    position = max(head.position, known.position)
    return Head(
        number=max(head.number, known.number) + 1,
        position=position,
        floor=max(head.floor, position, moment.after(MAX_WINDOW_S)),
    )


def checked(known: Head, moment: Moment) -> Head:
    """What a client knows, when it can be.

    Raises:
        MeshError: CLOCK_BEHIND, when by the clock nobody can have been granted that.
    """
    if known.position > moment.after(MAX_AHEAD_S + MAX_WINDOW_S) or known.number > MAX_NUMBER:
        raise _behind(moment, known.position)
    return known


def leased(head: Head, vacancy: Vacancy, demand: Demand, moment: Moment) -> tuple[Head, Window]:
    """Lease the lowest worker id that is free.

    Raises:
        MeshError: WORKERS_EXHAUSTED, CLOCK_BEHIND, LAYOUT_EXHAUSTED.
    """
    if moment.tick < 0 or demand.last_tick >= moment.after(TOLERANCE_S):
        raise _behind(moment, demand.last_tick)
    free = vacancy.free or _unused(vacancy, demand, moment)
    begin = max(moment.tick, free.until_tick, demand.last_tick + 1, head.floor)
    end = min(begin + moment.layout.ticks_in(demand.window_s), moment.layout.ticks)
    if end <= begin:
        raise MeshError(WorkerReason.LAYOUT_EXHAUSTED)
    moved = _reached(head, end)
    window = Window(
        worker_id=free.worker_id,
        token=moved.number,
        holder=demand.holder,
        from_tick=begin,
        until_tick=end,
    )
    return moved, window


def extended(
    head: Head, window: Window, window_s: float, now_tick: int, moment: Moment
) -> tuple[Head, Window]:
    """Extend a window to `window_s` from the holder's tick, or from now if that is later.

    The tick is believed as long as it lies within the window and less than TOLERANCE_S ahead:
    after a clock stepped back it cannot be told from one that is made up.

    Raises:
        MeshError: CLOCK_BEHIND, LAYOUT_EXHAUSTED.
    """
    begin = max(moment.tick, min(now_tick, window.until_tick))
    if begin > moment.after(TOLERANCE_S):
        raise _behind(moment, begin)
    if begin >= moment.layout.ticks:
        raise MeshError(WorkerReason.LAYOUT_EXHAUSTED)
    end = min(begin + moment.layout.ticks_in(window_s), moment.layout.ticks)
    longer = replace(window, until_tick=max(window.until_tick, end))
    return _reached(head, longer.until_tick), longer


def is_doubtful(head: Head, window: Window) -> bool:
    """Whether somebody may have held the worker after this window, and been forgotten."""
    return window.from_tick < head.floor


def released(window: Window, next_tick: int) -> Window:
    """Cut the window before `next_tick`. The token is spent."""
    until_tick = min(window.until_tick, max(window.from_tick, next_tick))
    return replace(window, until_tick=until_tick, token=0)


def is_clock_behind(head: Head, moment: Moment) -> bool:
    """Whether windows reach further than a clock that was always right could have led to."""
    return head.position > moment.after(MAX_AHEAD_S + MAX_WINDOW_S)


def _unused(vacancy: Vacancy, demand: Demand, moment: Moment) -> Window:
    """The first worker id that was never leased."""
    layout = moment.layout
    if vacancy.used < layout.workers:
        return Window(
            worker_id=vacancy.used, token=0, holder=demand.holder, from_tick=0, until_tick=0
        )
    if vacancy.earliest > moment.after(MAX_AHEAD_S + MAX_WINDOW_S):
        raise _behind(moment, vacancy.earliest)
    wait_s = (vacancy.earliest - moment.tick) * layout.tick_ms / 1000
    raise MeshError(
        WorkerReason.WORKERS_EXHAUSTED,
        f"All {layout.workers} worker ids are leased",
        retry_after_s=min(wait_s, MAX_WINDOW_S),
    )


def _reached(head: Head, until_tick: int) -> Head:
    return replace(head, number=head.number + 1, position=max(head.position, until_tick))


def _behind(moment: Moment, tick: int) -> MeshError:
    return MeshError(
        WorkerReason.CLOCK_BEHIND,
        metadata={
            "server_time": moment.layout.time_of(moment.tick).isoformat(),
            "leased_until": moment.layout.time_of(tick).isoformat(),
        },
    )
