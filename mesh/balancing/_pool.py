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
        peers = self.peers
        size = len(peers)
        if size > 1:  # what almost every call comes to, without a further step
            turn = self._turn = (self._turn + 1) % size
            one, other = peers[turn], peers[turn - 1 - int(self._random() * (size - 1))]
            if (
                one.is_wanted
                and other.is_wanted
                and not (one.health.troubled or other.health.troubled)
                and one is not avoid
                and other is not avoid
            ):
                return other if other.cost(now) < one.cost(now) else one
            self._turn -= 1
        self.refused = False
        return self.draw(path, now, avoid) or self._searched(path, now, avoid)

    def draw(self, path: str, now: float, avoid: Peer | None) -> Peer | None:
        """The better of two; None when a few draws found none that can be called."""
        size = len(self.peers)
        for _ in range(TRIES):
            turn = self._turn = (self._turn + 1) % size
            one = self._usable(turn, path, now, avoid)
            if size == 1:
                return one
            other = self._usable(turn - 1 - int(self._random() * (size - 1)), path, now, avoid)
            if one is None or other is None:
                if one or other:
                    return one or other
            else:
                return other if other.cost(now) < one.cost(now) else one
        return None

    def _usable(self, place: int, path: str, now: float, avoid: Peer | None) -> Peer | None:
        peer = self.peers[place]
        return peer if peer is not avoid and self._takes(peer, path, now) else None

    def _takes(self, peer: Peer, path: str, now: float) -> bool:
        if not peer.is_wanted:
            return False
        if not peer.health.troubled or peer.health.admits(path, now):
            return True
        self.refused = True
        return False

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
