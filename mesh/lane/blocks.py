"""Metadata that repeats: said once on a lane, then named by a number.

A user's token, the caller's proof and the purpose are the same from call to call. What
a lane keeps of them is bounded, and nothing is kept beyond the expiry of a token in it.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Sequence
from typing import Final

from mesh.lane.frames import MAX_BLOCK_BYTES, MAX_BLOCKS, Control, Kind, Pair, Pairs, pack, size_of

KEEP_S: Final = 600.0
"""How long a block is kept at most."""
_NEVER: Final = float("inf")


class Shared:
    """Metadata of many calls; the same object stands for it each time.

    `until` is when a lane must have forgotten it, and `stale_at` when an object must
    be made anew for it, in seconds of `time.time()`.
    """

    __slots__ = ("metadata", "packed", "size", "stale_at", "until")

    def __init__(self, metadata: Sequence[Pair]) -> None:
        self.metadata = metadata
        self.packed = pack(metadata)
        self.size = size_of(metadata)
        self.stale_at = time.time() + KEEP_S
        self.until = min(self.stale_at, *(_expiry(v) for _, v in metadata), _NEVER)


class Blocks:
    """The blocks that the server of one lane knows; what is to be said about them next."""

    __slots__ = ("_bytes", "_ids", "_next_id", "dropped", "fresh")

    def __init__(self) -> None:
        self._ids: dict[Shared, int] = {}
        self._next_id = 1
        self._bytes = 0
        self.fresh: list[tuple[int, Pairs]] = []
        self.dropped: list[Control] = []

    def id_of(self, shared: Shared) -> int:
        """The number of a block, which is announced with the next batch when it is new."""
        found = self._ids.get(shared)
        return self._add(shared) if found is None else found

    def forget_expired(self) -> None:
        """Drop what may not be kept any longer."""
        now = time.time()
        for shared in [shared for shared in self._ids if shared.until <= now]:
            self._drop(shared)

    def take_fresh(self) -> list[tuple[int, Pairs]]:
        """The blocks to be announced."""
        fresh, self.fresh = self.fresh, []
        return fresh

    def take_dropped(self) -> list[Control]:
        """The blocks to be forgotten by the server; said after the calls that name them."""
        dropped, self.dropped = self.dropped, []
        return dropped

    def _add(self, shared: Shared) -> int:
        while self._ids and not self._has_room(shared):
            self._drop(next(iter(self._ids)))  # the oldest
        number, self._next_id = self._next_id, self._next_id + 1
        self._ids[shared] = number
        self._bytes += shared.size
        self.fresh.append((number, shared.packed))
        return number

    def _has_room(self, shared: Shared) -> bool:
        return len(self._ids) < MAX_BLOCKS and self._bytes + shared.size <= MAX_BLOCK_BYTES

    def _drop(self, shared: Shared) -> None:
        self.dropped.append((Kind.DROP, self._ids.pop(shared), ""))
        self._bytes -= shared.size


def _expiry(value: str | bytes) -> float:
    """When a JWT in a header ends, unverified; never for what is none."""
    if isinstance(value, bytes):
        return _NEVER
    parts = value.rpartition(" ")[2].split(".")
    if len(parts) != 3:
        return _NEVER
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError):
        return _NEVER
