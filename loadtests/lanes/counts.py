"""What a process holds at a moment: memory, descriptors, tasks, and the parts of lanes."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from pathlib import Path
from typing import Final

PARTS: Final = {
    "ClientLane": "lanes",
    "ServerLane": "lanes",
    "UnaryCall": "calls",
    "LaneContext": "calls",
    "Shared": "blocks",
    "Block": "blocks",
}
"""Classes of which the living are counted."""


def counts() -> dict[str, int]:
    """What this process holds now, once garbage is collected; to be called in its event loop."""
    gc.collect()
    found = Counter(PARTS.get(type(each).__name__, "") for each in gc.get_objects())
    return {
        "resident_bytes": resident_bytes(),
        "descriptors": descriptors(),
        "tasks": len(asyncio.all_tasks()),
        **{part: found[part] for part in PARTS.values()},
    }


def resident_bytes() -> int:
    """Memory that this process has in use."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """Open descriptors of this process, but for the one that looks."""
    return len(list(Path("/proc/self/fd").iterdir())) - 1
