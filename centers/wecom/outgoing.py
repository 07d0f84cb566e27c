"""Work that WeCom must be told of, done in rounds for as long as WeCom can be reached."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import suppress
from typing import Final

import grpc

from mesh.background import Background
from mesh.errors import ErrorView
from mesh.log import get_logger
from mesh.storage import StorageError

FIRST_DELAY_S, LAST_DELAY_S = 0.1, 5.0
LOOK_S: Final = 1.0
"""The longest between two looks for work; usually news come first."""

_log = get_logger(__name__)


class Away(Exception):  # noqa: N818 - a state of the other side, not a fault of ours
    """WeCom cannot be reached or wants to be left alone: all work waits."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        view = ErrorView.from_rpc(error)
        self.retry_after_s = view.retry_after_s
        super().__init__(f"{error.code().name} {view.reason}".rstrip())


class Outgoing(Background):
    """Does rounds of work: at once when woken, else at every look."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There is something new to do."""
        self._news.set()

    @abstractmethod
    async def _round(self) -> bool:
        """Do what is due now; whether there may be more.

        Raises:
            Away: the other side cannot do it now.
            StorageError: the store cannot.
        """

    async def _run(self) -> None:
        failures = 0
        while True:
            self._news.clear()
            try:
                more = await self._round()
            except Exception as error:  # noqa: BLE001 - nothing may end it: work waits
                self._report(error, failures)
                await asyncio.sleep(_wait_s(error, failures))
                failures += 1
                continue
            failures = 0
            if not more:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()

    def _report(self, error: Exception, failures: int) -> None:
        """Log what passes by itself when it begins, all else each time."""
        work = type(self).__name__
        if not isinstance(error, Away | StorageError):
            _log.error("wecom_work_failed", work=work, error=type(error).__name__, exc_info=error)
        elif not failures:
            _log.warning("wecom_waits", work=work, why=str(error))


def delay_s(attempts: int, last_s: float) -> float:
    """Seconds to wait after so many attempts that failed before this one."""
    return min(FIRST_DELAY_S * 2.0 ** min(attempts, 16), last_s)


def _wait_s(error: Exception, failures: int) -> float:
    wished_s = error.retry_after_s if isinstance(error, Away) else None
    return min(wished_s or 0.0, 60.0) or delay_s(failures, LAST_DELAY_S)
