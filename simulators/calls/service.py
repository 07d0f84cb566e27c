"""Use cases of the call platform: dial, and plan how customers answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from simulators.calls.domain import Call, Plan, reports
from simulators.errors import SimulatorReason
from simulators.reports import Report

Outcome = Callable[[Call, Plan | None], Sequence[Report]]
"""What is to be told of a call, given the plan for its customer."""


class CallStore(Protocol):
    """Where calls and plans are held."""

    async def dial(self, call: Call, outcome: Outcome) -> Call:
        """Keep the call and owe its reports; the one kept before when there is one."""

    async def plan(self, plans: Collection[Plan]) -> None:
        """Replace the plans of these customers."""


class Platform:
    """Connects calls. `owed` is called when there are new reports to tell."""

    def __init__(self, store: CallStore, clock: Clock, owed: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._owed = owed

    async def dial(self, contact_id: int, customer_id: int, staff_id: int) -> Call:
        """Make a call; the same again is the same call.

        Raises:
            MeshError: KEY_REUSED.
        """
        call = Call(
            contact_id=contact_id,
            customer_id=customer_id,
            staff_id=staff_id,
            dial_time=self._clock.now(),
        )
        kept = await self._store.dial(call, reports)
        if not kept.is_same(call):
            raise MeshError(SimulatorReason.KEY_REUSED)
        self._owed()
        return kept

    async def plan(self, plans: Sequence[Plan]) -> None:
        """Say how customers answer from now on; of two plans for a customer the last holds."""
        await self._store.plan({plan.customer_id: plan for plan in plans}.values())
