"""The access log: who asked for what, each entry sealed (`mesh.seal`). Pure rules."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from mesh.seal import Head

START: Final = Head()
"""What the first entry follows."""


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


def append(access: Access, head: Head = START) -> Entry:
    """The entry for `access` behind the head of the log."""
    position = head.position + 1
    content = asdict(access) | {"time": access.time.isoformat(), "position": position}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return Entry(position=position, access=access, seal=head.followed_by(text.encode()).seal)


def follows(entry: Entry, head: Head) -> bool:
    """Whether the entry is what `append` would have put behind the head."""
    return entry == append(entry.access, head)
