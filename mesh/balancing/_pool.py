"""Instances that are equally good for a call, and the choice of one among them.

Of two it is the one where the call is likely to be answered sooner ("power of two
choices"): one takes its turn, the other is drawn. That costs the same for two instances
and for a thousand. Where many of them cannot be called, drawing may find none; then all
are looked at, once in a while, and draws are made among what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mesh.peer import Peer

TRIES: Final = 3
"""Draws of two before all are looked at."""
KEPT_S: Final = 0.05
"""How long what was found by looking at all is drawn from."""


class Pool:
    """Some of the peers of a channel.

    Args:
        peers: there is one at least.
        random: a random number from 0 up to 1.
    """

    __slots__ = ("_found", "_found_until", "_random", "_turn", "peers", "refused")

    def __init__(self, peers: Sequence[Peer], random: Callable[[], float]) -> None:
        self.peers = peers
        self._random = random
        self._turn = -1
        self._found: Pool | None = None
        self._found_until = 0.0
        self.refused = False
        """Whether the last choice passed over an instance for its breaker."""

    def choose(self, path: str, now: float, avoid: Peer | None = None) -> Peer | None:
        """The instance for a call of a method; None when none of them can be called."""
        self.refused = False
        return self.draw(path, now, avoid) or self._searched(path, now, avoid)

    def draw(self, path: str, now: float, avoid: Peer | None) -> Peer | None:
        """The better of two; None when a few draws found none that can be called."""
        peers, refuses = self.peers, self._refuses
        size = len(peers)
        if size == 1:
            return self._only(path, now, avoid)
        for _ in range(TRIES):
            turn = self._turn = (self._turn + 1) % size
            one, other = peers[turn], peers[turn - 1 - int(self._random() * (size - 1))]
            # All in one place: almost every call passes here, and a step more is felt.
            takes_one = (
                one is not avoid
                and one.is_wanted
                and not (one.health.troubled and refuses(one, path, now))
            )
            takes_other = (
                other is not avoid
                and other.is_wanted
                and not (other.health.troubled and refuses(other, path, now))
            )
            if takes_one and takes_other:
                return other if other.cost(now) < one.cost(now) else one
            if takes_one or takes_other:
                return one if takes_one else other
        return None

    def _only(self, path: str, now: float, avoid: Peer | None) -> Peer | None:
        peer = self.peers[0]
        if peer is avoid or not peer.is_wanted:
            return None
        return None if peer.health.troubled and self._refuses(peer, path, now) else peer

    def _refuses(self, peer: Peer, path: str, now: float) -> bool:
        """Whether the breaker of a peer that has failed lately refuses a call."""
        if peer.health.admits(path, now):
            return False
        self.refused = True
        return True

    def _searched(self, path: str, now: float, avoid: Peer | None) -> Peer | None:
        """Draw among those that could be called when all were looked at."""
        if len(self.peers) <= TRIES:  # draws have looked at all of them, each in its turn
            return None
        if now >= self._found_until:
            wanted = [peer for peer in self.peers if peer.is_wanted]
            self._found = Pool(wanted, self._random) if wanted else None
            self._found_until = now + KEPT_S
        if self._found is None:
            return None
        self._found.refused = False
        chosen = self._found.draw(path, now, avoid)
        self.refused |= self._found.refused
        return chosen
