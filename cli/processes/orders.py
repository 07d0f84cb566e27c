"""What a supervisor does when a command asks it: tell of its processes, and replace them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from cli.processes.control import Order, Reply
from cli.processes.handover import RehearsalError, Renewal
from cli.processes.rolling import Roller, RollError
from cli.processes.slot import Slot

LIST, RESTART, RENEW = "list", "restart", "renew"
_NOT_RENEWED: Final = "it would not start with the code and settings of now; nothing was changed"


class Orders:
    """Answers orders about `slots`.

    Replies are {"slot": …} for each slot, {"step": …} for each step of a restart, and at the
    end {"done": COUNT} or {"failed": TEXT}.

    Args:
        slots: the supervisor's, by name.
        roller: replaces processes.
        clock: seconds that never step back.
    """

    def __init__(
        self,
        slots: Mapping[str, Slot],
        roller: Roller,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._roller = roller
        self._clock = clock
        self._is_rolling = False
        self.renewal: Renewal | None = None
        """How the supervisor begins anew; None: it does not, or not yet."""
        self.is_renewal_due = False
        """Whether it is to begin anew now."""

    def answer(self, order: Order) -> Iterator[Reply | None]:
        """Do what it says."""
        kinds = {LIST: self._list, RESTART: self._restart, RENEW: self._renew}
        do = kinds.get(str(order.get("order")))
        if do is None:
            yield {"failed": f"this supervisor knows the orders {', '.join(kinds)}"}
            return
        try:
            yield from do(order)
        except (RollError, RehearsalError) as error:
            yield {"failed": str(error)}

    def _list(self, _: Order) -> Iterator[Reply]:
        now = self._clock()
        for slot in self._slots.values():
            yield {"slot": slot.told(now)}
        yield {"done": len(self._slots)}

    def _restart(self, order: Order) -> Iterator[Reply | None]:
        if self._is_rolling:
            yield {"failed": "a restart is under way; wait until it has ended"}
            return
        slots = self._wanted(order.get("names", ()))
        self._is_rolling = True
        try:
            for step in self._roller.roll(slots):
                yield None if step is None else {"step": asdict(step)}
        finally:
            self._is_rolling = False
        yield {"done": len(slots)}

    def _renew(self, _: Order) -> Iterator[Reply | None]:
        """See whether the supervisor could begin anew; then it is due."""
        if self._is_rolling or self.renewal is None:
            yield {"failed": "it cannot begin anew now: wait until it has started, or restarted"}
            return
        self._is_rolling = True
        try:
            yield from self.renewal.rehearse()
        except RehearsalError as error:
            raise RehearsalError(f"{_NOT_RENEWED}\n{error}") from error
        finally:
            self._is_rolling = False
        self.is_renewal_due = True
        yield {"done": len(self._slots)}

    def _wanted(self, names: Sequence[Any]) -> list[Slot]:
        """The slots of the names, in the order in which they were started."""
        return [slot for slot in self._slots.values() if {*names} & {*slot_names(slot)}]


def slot_names(slot: Slot) -> tuple[str, ...]:
    """What a slot is called by: its own name, its service, the id of its process."""
    pid = str(slot.process.pid) if slot.process else ""
    return slot.program.name, slot.service, pid
