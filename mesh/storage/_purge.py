"""Old entries of a store's own tables go while it is open."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from mesh.background import Background
from mesh.clock import Clock
from mesh.storage._base import Store
from mesh.storage._errors import StorageError
from mesh.storage._idempotency import purge_idempotency
from mesh.storage._inbox import purge_inbox
from mesh.storage._options import StoreOptions

_log: Final = logging.getLogger(__name__)


class Purge(Background):
    """Removes old answers and old entries of the inbox for as long as it is entered."""

    def __init__(self, store: Store, clock: Clock, options: StoreOptions) -> None:
        self._store = store
        self._clock = clock
        self._options = options

    async def _run(self) -> None:
        while True:
            now = self._clock.now()
            try:
                await purge_idempotency(self._store, now - self._options.idempotency_kept)
                await purge_inbox(self._store, self._options.inbox_kept, now)
            except StorageError:
                _log.warning("old entries could not be removed; trying again", exc_info=True)
            await asyncio.sleep(self._options.purge_every_s)
