"""A peer in a process of its own: so that it can be of another release than the test."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.conformance.calls.peer import Places, Serving

MODULE: Final = "tests.conformance.calls"
START_S: Final = 30.0


class PeerProcess:
    """A peer under another interpreter, as an async context manager.

    The interpreter's environment has a release of the platform and `grpcio-tools`; it
    sees these files in a folder of their own, so that the sources beside them do not
    come before what is installed there.
    """

    def __init__(self, serving: Serving, python: str) -> None:
        self._serving = serving
        self._python = python
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with self._stack:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-"))
            _copy(Path(folder))
            process = await asyncio.create_subprocess_exec(
                *(self._python, "-m", f"{MODULE}.peer", json.dumps(asdict(self._serving))),
                cwd=folder,
                env={**os.environ, "PYTHONPATH": folder},
                stdin=PIPE,
                stdout=PIPE,
            )
            self._stack.push_async_callback(_end, process)
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), START_S)
            self.places = Places(**json.loads(line))
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()


def _copy(folder: Path) -> None:
    target = folder.joinpath(*MODULE.split("."))
    shutil.copytree(Path(__file__).parent, target, ignore=shutil.ignore_patterns("test_*"))


async def _end(process: Process) -> None:
    await process.communicate(b"")  # the end of its input
