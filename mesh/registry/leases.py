"""Leases: who has to be heard of by when. Pure, with a clock."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.registry.watcher import Key

LOOK_S: Final = 0.5
"""How often it is looked which leases have run out."""
PAUSE_S: Final = 2.0
"""A look that comes so late says that the registry stood still, not that others were silent."""


@dataclass(slots=True)
class _Lease:
    lease_id: str
    due: float


class Leases:
    """The leases of one registry that keeps them by itself.

    Args:
        clock: measures them.
        lease_s: how long one lasts.
    """

    def __init__(self, clock: Clock, lease_s: float) -> None:
        self._clock = clock
        self._lease_s = lease_s
        self._held: dict[Key, _Lease] = {}
        self._looked = clock.monotonic()

    def give(self, key: Key) -> str:
        """A new lease of an instance; one that it had before counts no longer."""
        lease = _Lease(new_lease_id(), self._clock.monotonic() + self._lease_s)
        self._held[key] = lease
        return lease.lease_id

    def renew(self, key: Key, lease_id: str) -> bool:
        """Let a lease last anew; whether it is known."""
        if not self.has(key, lease_id):
            return False
        self._held[key].due = self._clock.monotonic() + self._lease_s
        return True

    def has(self, key: Key, lease_id: str) -> bool:
        """Whether an instance holds this lease."""
        held = self._held.get(key)
        return held is not None and hmac.compare_digest(held.lease_id, lease_id)

    def end(self, key: Key) -> None:
        """Take the lease back."""
        self._held.pop(key, None)

    def expired(self) -> list[Key]:
        """Take back the leases that have run out; whose they were.

        To be asked every `LOOK_S`. Asked later than `PAUSE_S`, this process was stopped, and
        nobody could renew meanwhile: the time that was missed is added to all.
        """
        now = self._clock.monotonic()
        missed = now - self._looked
        self._looked = now
        if missed > PAUSE_S:
            for lease in self._held.values():
                lease.due += missed
        over = [key for key, lease in self._held.items() if lease.due <= now]
        for key in over:
            del self._held[key]
        return over


def new_lease_id() -> str:
    """One that nobody can guess."""
    return secrets.token_hex(16)
