"""The access log: who asked for what, in a chain of hashes. Pure rules.

Each entry seals the one before it, so that an entry that was changed, taken
out or put in shows at its place. Entries cut off at the end do not show: keep
the newest seal elsewhere to notice that.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

GENESIS: Final = "0" * 64
"""What the first entry seals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One question to the Ark. `customers` is how many were asked for.

    `user` is who is answerable: the end user, or whom the service acts for.
    """

    time: datetime
    user: str
    service: str
    purpose: str
    customers: int
    fields: tuple[str, ...]
    trace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An access at its place in the log; positions count from 1 without a gap."""

    position: int
    access: Access
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheck:
    """What a check of the log found.

    `entries` hold, the last of them with `seal`; the one at `broken_at` does not
    (None: all hold).
    """

    entries: int
    seal: str
    broken_at: int | None


def append(access: Access, *, position: int = 0, seal: str = GENESIS) -> Entry:
    """The entry for `access` behind the one with `position` and `seal`."""
    following = position + 1
    content = asdict(access) | {"time": access.time.isoformat(), "position": following}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{seal}{text}".encode()).hexdigest()
    return Entry(position=following, access=access, seal=digest)
