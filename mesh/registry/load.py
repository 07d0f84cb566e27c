"""Tells the registry now and then how full a process is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from mesh.background import Background
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.registry.table import LOAD_STEP

LOOK_S: Final = 1.0
"""How often it is looked."""

_log = get_logger(__name__)


class LoadReport(Background):
    """Tells a load when it has moved, for as long as it is entered.

    Args:
        load: how full the process is, 0 to 1.
        tell: told of it.
    """

    def __init__(self, load: Callable[[], float], tell: Callable[[float], Awaitable[None]]) -> None:
        self._load = load
        self._tell = tell
        self._told = 0.0

    async def look(self) -> None:
        """Tell the load if it has moved by a step since it was last told."""
        load = round(self._load(), 2)
        if abs(load - self._told) < LOAD_STEP:
            return
        try:
            await self._tell(load)
        except (MeshError, OSError) as error:  # at the next look, then
            _log.warning("load_not_told", problem=str(error))
        else:
            self._told = load

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()
