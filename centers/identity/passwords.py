"""Password hashes (Argon2id), computed off the loop."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import argon2
from argon2.exceptions import VerifyMismatchError

from mesh.errors import MeshError, MeshReason

_T = TypeVar("_T")


class Passwords:
    """Hashes and verifies passwords in a few threads, as an async context manager.

    A hash takes tens of milliseconds and 64 MiB by design: `threads` bounds both.
    Cancelling a call gives up waiting; work that has begun runs to its end.

    Args:
        hasher: cost parameters; the library's recommended ones by default.
        threads: hashes computed at once.
        max_waiting: hashes under way or waiting; further ones are refused.
    """

    def __init__(
        self,
        hasher: argon2.PasswordHasher | None = None,
        *,
        threads: int = 2,
        max_waiting: int = 64,
    ) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._threads = threads
        self._places = threading.BoundedSemaphore(max_waiting)

    async def __aenter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="password")
        self._dummy = await self.hash(secrets.token_urlsafe())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash to keep.

        Raises:
            MeshError: OVERLOADED, when too many hashes wait already.
        """
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one whose hash was kept.

        None, for a user that does not exist, is never matched and takes as long.

        Raises:
            MeshError: OVERLOADED, when too many hashes wait already.
        """
        matched = await self._run(lambda: self._matches(kept or self._dummy, password))
        return matched and kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether the hash was made with other cost parameters than new ones are."""
        return self._hasher.check_needs_rehash(kept)

    def _matches(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except VerifyMismatchError:
            return False

    async def _run(self, work: Callable[[], _T]) -> _T:
        if not self._places.acquire(blocking=False):
            raise MeshError(MeshReason.OVERLOADED, retry_after_s=1)
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)
