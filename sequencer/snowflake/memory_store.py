"""Workers in this process's memory, for tests and models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sequencer.snowflake.rules import Head, Vacancy, Window


@dataclass(slots=True)
class _State:
    """One sequence: where it stands, all windows of each worker, oldest first."""

    head: Head = field(default_factory=Head)
    windows: dict[int, list[Window]] = field(default_factory=dict)

    def copy(self) -> _State:
        """As it is now, for ever."""
        return _State(self.head, {id_: list(all_) for id_, all_ in self.windows.items()})


class MemoryWorkers:
    """A `WorkerStore`. One transaction at a time: none of its methods waits for anything."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    @asynccontextmanager
    async def unit(self, uid: int) -> AsyncIterator[MemoryUnit]:
        state = self._states.get(uid, _State()).copy()
        yield MemoryUnit(state)
        self._states[uid] = state

    async def windows(self, uid: int, *, after: int, limit: int) -> Sequence[Window]:
        state = self._states.get(uid, _State())
        return [state.windows[id_][-1] for id_ in sorted(state.windows) if id_ > after][:limit]

    async def window_at(self, uid: int, worker_id: int, tick: int) -> Window | None:
        for window in self._states.get(uid, _State()).windows.get(worker_id, []):
            if window.from_tick <= tick < window.until_tick:
                return window
        return None

    def backup(self) -> dict[int, _State]:
        """A copy, for `restore`."""
        return {uid: state.copy() for uid, state in self._states.items()}

    def restore(self, copy: dict[int, _State]) -> None:
        """Become the copy again."""
        self._states = {uid: state.copy() for uid, state in copy.items()}


class MemoryUnit:
    """A `Unit`, over a copy that is kept when it ends well."""

    def __init__(self, state: _State) -> None:
        self._state = state

    async def head(self) -> Head:
        return self._state.head

    async def vacancy(self, by_tick: int) -> Vacancy:
        newest = {id_: all_[-1] for id_, all_ in sorted(self._state.windows.items())}
        return Vacancy(
            free=next((one for one in newest.values() if one.until_tick <= by_tick), None),
            used=max(newest, default=-1) + 1,
            earliest=min((one.until_tick for one in newest.values()), default=0),
        )

    async def window(self, worker_id: int) -> Window | None:
        return self._state.windows.get(worker_id, [None])[-1]

    async def move(self, head: Head) -> None:
        self._state.head = head

    async def begin(self, window: Window) -> None:
        self._state.windows.setdefault(window.worker_id, []).append(window)

    async def change(self, window: Window) -> None:
        self._state.windows[window.worker_id][-1] = window

    async def forget(self, worker_id: int, before_tick: int) -> None:
        *past, newest = self._state.windows[worker_id]
        kept = [window for window in past if window.until_tick >= before_tick]
        self._state.windows[worker_id] = [*kept, newest]
