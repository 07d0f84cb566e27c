"""Stops guessing: a name with too many failed attempts is refused for a while."""

from __future__ import annotations

from collections import OrderedDict, deque

from centers.identity.errors import IdentityReason
from mesh.clock import Clock
from mesh.errors import MeshError

MAX_FAILURES = 10
WINDOW_S = 15 * 60
MAX_NAMES = 10_000


class Lockout:
    """Counts attempts by name, whether or not there is such a user.

    Ten failures within fifteen minutes close a name for fifteen minutes. The
    table is bounded and lives as long as the process; the name that was tried
    longest ago is forgotten first.
    """

    def __init__(self, clock: Clock, *, max_names: int = MAX_NAMES) -> None:
        self._clock = clock
        self._max_names = max_names
        self._attempts: OrderedDict[str, deque[float]] = OrderedDict()

    def admit(self, name: str) -> None:
        """Count an attempt; it is a failure until `succeeded` says otherwise.

        Counting comes first, so that attempts side by side cannot outrun it.

        Raises:
            MeshError: TOO_MANY_ATTEMPTS, with the time to wait.
        """
        now = self._clock.monotonic()
        attempts = self._attempts.setdefault(name, deque(maxlen=MAX_FAILURES))
        self._attempts.move_to_end(name)
        if len(attempts) == MAX_FAILURES:
            wait_s = attempts[-1] + WINDOW_S - now
            if wait_s > 0:
                raise MeshError(IdentityReason.TOO_MANY_ATTEMPTS, retry_after_s=wait_s)
        while attempts and attempts[0] <= now - WINDOW_S:
            attempts.popleft()
        attempts.append(now)
        while len(self._attempts) > self._max_names:
            self._attempts.popitem(last=False)

    def withdraw(self, name: str) -> None:
        """Take back the last attempt: no password was compared."""
        attempts = self._attempts.get(name)
        if attempts:
            attempts.pop()

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        self._attempts.pop(name, None)
