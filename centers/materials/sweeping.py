"""Forgets what was uploaded once it is submitted, in the background."""

from __future__ import annotations

import asyncio
from typing import Final

from centers.materials.upload_rows import Uploads
from engine.materials.v1 import materials_pb2
from mesh.background import Background
from mesh.definitions import Definitions, State
from mesh.log import get_logger
from mesh.storage import StorageError, Store

EVERY_S: Final = 600.0
"""Seconds until it looks again unasked: another process may have left something."""

_log = get_logger(__name__)


class Sweeping(Background):
    """Removes uploads of versions that are no drafts any more, a part in a transaction.

    Removing sixty megabytes takes the store half a second: too long for the
    transaction of a submission, which holds up all other calls that write.
    """

    def __init__(
        self, store: Store, definitions: Definitions[materials_pb2.Material], uploads: Uploads
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._uploads = uploads
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Something was submitted."""
        self._wanted.set()

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self.sweep()
            except StorageError:
                _log.warning("sweep_failed", exc_info=True)
            await self._woken()

    async def sweep(self) -> None:
        """Remove what there is.

        Raises:
            StorageError: some of it is left.
        """
        for version_id in await self._uploads.versions():
            version = await self._definitions.by_version_id(version_id)
            if version.state is State.DRAFT:
                continue
            for first in await self._uploads.places(version_id):
                async with self._store.transaction() as tx:
                    await self._uploads.drop_part(tx, version_id, first)

    async def _woken(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S):
                await self._wanted.wait()
        except TimeoutError:
            return
