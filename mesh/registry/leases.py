"""Leases: who has to be heard of by when. Pure, with a clock.

A registry that hears of nobody at all is rather cut off itself than the last one alive. So
while nobody is heard no lease runs out for a while, and all last anew once somebody is.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.registry.addresses import NAME
from mesh.registry.watcher import Key

LOOK_S: Final = 0.5
"""How often it is looked which leases have run out."""
PAUSE_S: Final = 2.0
"""A look that comes so late says that the registry stood still, not that others were silent."""
QUIET: Final = 0.5
"""Part of a lease for which nobody at all was heard: the registry may be cut off."""
PATIENCE: Final = 3.0
"""Leases for which it is taken to be so; then those who hold one are taken to be gone."""


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
        self._looked = self._heard = clock.monotonic()

    def give(self, key: Key) -> str:
        """A new lease of an instance; one that it had before counts no longer."""
        self._hear(key)
        lease = _Lease(new_lease_id(), self._clock.monotonic() + self._lease_s)
        self._held[key] = lease
        return lease.lease_id

    def renew(self, key: Key, lease_id: str) -> bool:
        """Let a lease last anew; whether it is known."""
        if not self.has(key, lease_id):
            return False
        self._hear(key)
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
            self._heard += missed
            for lease in self._held.values():
                lease.due += missed
        if QUIET * self._lease_s < now - self._heard < PATIENCE * self._lease_s:
            return []
        over = [key for key, lease in self._held.items() if lease.due <= now]
        for key in over:
            del self._held[key]
        return over

    def _hear(self, key: Key) -> None:
        """Somebody is there. The registry itself always is, and does not count."""
        now = self._clock.monotonic()
        if key[0] == NAME:
            return
        if now - self._heard > QUIET * self._lease_s:
            for lease in self._held.values():
                lease.due = max(lease.due, now + self._lease_s)
        self._heard = now


def new_lease_id() -> str:
    """One that nobody can guess."""
    return secrets.token_hex(16)
