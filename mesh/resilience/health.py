"""What became of the calls to one endpoint, and the breaker of each of its methods.

While all is well a call costs one addition. From the first failure on its method is
looked at closely, call by call, until ten seconds have passed without another one.

The breaker is Google SRE's client-side throttling in the form of go-zero: there is no open
and closed, but a probability with which calls are refused,

    (requests - FLOOR - K × accepts) / (requests + 1)

over the last ten seconds, where a call that was refused counts as a request.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from mesh.resilience.window import WINDOW_S, Window

K: Final = 1.5
"""How many requests are let through for each that is accepted."""
FLOOR: Final = 5
"""So many failures in the window never refuse a call."""
PASS_EVERY_S: Final = 1.0
"""At least so often one call is let through, to find out."""
MAX_METHODS: Final = 256
"""Methods of an endpoint that have a breaker each; the others share one."""


class Health:
    """What became of the calls to one endpoint.

    Args:
        monotonic: seconds that never step back.
        draw: a random number from 0 to 1.
        refuses: whether breakers refuse calls at all.
    """

    __slots__ = (
        "_breakers",
        "_passed_before",
        "draw",
        "ejected_until",
        "failed",
        "in_a_row",
        "monotonic",
        "refuses",
        "times_ejected",
        "troubled",
    )

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        *,
        refuses: bool = True,
    ) -> None:
        self.monotonic = monotonic
        self.refuses = refuses
        self.draw = draw
        self.renew()

    def renew(self) -> None:
        """Forget all: another process is there now."""
        self._breakers: dict[str, Breaker] = {}
        self.in_a_row = 0
        """Failures since the last success."""
        self.ejected_until = 0.0
        """When calls are sent again; 0: they are."""
        self.times_ejected = 0
        self.troubled = 0
        """Breakers that look closely; while it is 0, successes are only added up."""
        self.begin()

    def breaker(self, path: str) -> Breaker:
        """The breaker of a method."""
        found = self._breakers.get(path)
        return self._add(path) if found is None else found

    def admits(self, path: str, now: float) -> bool:
        """Whether a call may be sent; a draw decides where its method fails too often."""
        found = self._breakers.get(path)
        return found is None or found.admits(now)

    def begin(self) -> None:
        """Begin to count anew what `passed` and what `failed`."""
        self.failed = 0
        self._passed_before = 0
        self._passed_before = self.passed

    @property
    def passed(self) -> int:
        """Calls that were answered since `begin`."""
        return sum(breaker.passed for breaker in self._breakers.values()) - self._passed_before

    def _add(self, path: str) -> Breaker:
        if len(self._breakers) >= MAX_METHODS:
            path = ""
        return self._breakers.setdefault(path, Breaker(self))


class Breaker:
    """Decides which calls of one method to one endpoint are sent.

    Who was answered says so by `answered`; or else adds one to `passed`, and calls
    `succeeded` when the endpoint is `troubled`.
    """

    __slots__ = ("_admitted_at", "_begun", "_begun_at", "_window", "health", "passed")

    def __init__(self, health: Health) -> None:
        self.health = health
        self.passed = 0
        """Calls that were answered, ever."""
        self._begun, self._begun_at = 0, health.monotonic()
        self._window: Window | None = None
        self._admitted_at = -PASS_EVERY_S

    def answered(self) -> None:
        """A call was answered, well or with a no."""
        self.passed += 1
        if self.health.troubled:
            self.succeeded()

    def succeeded(self) -> None:
        """Look closely at a call that was answered."""
        self.health.in_a_row = 0
        if self._window is not None:
            self._window.add(self.health.monotonic(), accepted=True)

    def failed(self, now: float) -> None:
        """A call failed in a way that speaks against the endpoint."""
        self._watched(now).add(now, accepted=False)

    def admits(self, now: float) -> bool:
        """Whether a call may be sent now."""
        window = self._window
        if window is None:
            return True
        window.roll(now)
        if window.requests == window.accepts:
            self._trust(now)
            return True
        excess = window.requests - FLOOR - K * window.accepts
        if excess <= 0 or not self.health.refuses:
            return True
        is_due = now - self._admitted_at >= PASS_EVERY_S
        if is_due or self.health.draw() >= excess / (window.requests + 1):
            self._admitted_at = now
            return True
        window.add(now, accepted=False)
        return False

    def _watched(self, now: float) -> Window:
        """The window; one that begins now has the calls so far, taken as evenly spread."""
        if self._window is None:
            share = min(1.0, WINDOW_S / max(now - self._begun_at, 1e-9))
            self._window = Window(now, int((self.passed - self._begun) * share))
            self.health.troubled += 1
        return self._window

    def _trust(self, now: float) -> None:
        """There was no failure for long: look no more, and count anew."""
        self._begun, self._begun_at = self.passed, now
        self._window = None
        self.health.troubled -= 1
        self.health.in_a_row = 0
