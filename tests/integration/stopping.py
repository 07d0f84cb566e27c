"""A sequencer that freezes itself once, just before or just after it appends a grant.

`python -m tests.integration.stopping before|after`, with the settings of its environment.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

import uvloop

from sequencer.entry import Action, Entry, Tip
from sequencer.store import SqlLog
from tests.fault.takers import serve

PLAIN: Final = SqlLog.append


def freeze_once(when: str) -> None:
    """Have the first grant stop the process, until somebody has it go on."""

    async def append(self: SqlLog, uid: int, after: Tip, new: Sequence[Entry]) -> None:
        if any(entry.action is not Action.GRANTED for entry in new):
            await PLAIN(self, uid, after, new)
            return
        SqlLog.append = PLAIN  # type: ignore[method-assign]
        if when == "before":
            os.kill(os.getpid(), signal.SIGSTOP)
        await PLAIN(self, uid, after, new)
        if when == "after":
            os.kill(os.getpid(), signal.SIGSTOP)

    SqlLog.append = append  # type: ignore[method-assign]


if __name__ == "__main__":
    freeze_once(sys.argv[1])
    uvloop.run(serve(1))
