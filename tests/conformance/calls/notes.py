"""What handlers note for the test that called them, and wait for."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any


class Notes:
    """One call's notes; JSON, since the test may be in another process."""

    def __init__(self) -> None:
        self._noted: dict[str, asyncio.Future[str]] = {}
        self._released = asyncio.Event()

    def __call__(self, event: str, value: Any = None) -> None:
        """Note that an event happened; the first value of an event stays."""
        noted = self._future(event)
        if not noted.done():
            noted.set_result(json.dumps(value))

    async def wait_for(self, event: str) -> str:
        """The value of an event, once it has happened."""
        return await asyncio.shield(self._future(event))

    async def released(self) -> None:
        """Return when the test lets the handler go on."""
        await self._released.wait()

    def release(self) -> None:
        self._released.set()

    def _future(self, event: str) -> asyncio.Future[str]:
        if event not in self._noted:
            self._noted[event] = asyncio.get_running_loop().create_future()
        return self._noted[event]


Book = defaultdict[str, Notes]
"""The notes of all calls by the id that the test gave them."""
