"""Work that goes on in the background while something is open."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """Does its work in a task of its own for as long as it is entered.

    Leaving cancels the work and waits until it has ended. What the work raised
    by itself is raised then.
    """

    @abstractmethod
    async def _run(self) -> None:
        """The work; usually a loop without end."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()
