"""The service's side of the child that parses documents; see `worker` for why there is one."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from centers.materials.errors import MaterialReason
from centers.materials.pdf import frame
from centers.materials.pdf.refusal import Refusal
from mesh.errors import MeshError
from mesh.log import get_logger

WORKERS: Final = 2
"""Children at once."""

WAITING: Final = 32
"""Documents that may wait for one."""

RETRY_AFTER_S: Final = 2.0
PIECE_BYTES: Final = 1 << 20
_MODULE: Final = "centers.materials.pdf.worker"
_ROOT: Final = Path(__file__).parents[3]
_ENVIRONMENT: Final = {"PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8"}
"""Nothing of ours: the environment may hold secrets."""

_REASONS: Final = {
    Refusal.NOT_A_PDF: MaterialReason.NOT_A_PDF,
    Refusal.ENCRYPTED: MaterialReason.PDF_ENCRYPTED,
    Refusal.ACTIVE: MaterialReason.PDF_ACTIVE,
    Refusal.TOO_COMPLEX: MaterialReason.PDF_TOO_COMPLEX,
}

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the child answered: a header, and `size_bytes` of it, which are read once."""

    header: Mapping[str, Any]
    _pipe: asyncio.StreamReader

    async def pieces(self, size: int) -> AsyncIterator[bytes]:
        """The bytes in pieces of `size`, the last one shorter.

        Raises:
            MeshError: PDF_TOO_COMPLEX: the child ended before all had come.
        """
        left: int = self.header["size_bytes"]
        while left:
            try:
                piece = await self._pipe.readexactly(min(size, left))
            except asyncio.IncompleteReadError as error:
                facts = {"found": "cut short"}
                raise MeshError(MaterialReason.PDF_TOO_COMPLEX, metadata=facts) from error
            left -= len(piece)
            yield piece


class PdfProcess:
    """Runs a child for each document, a bounded number at once."""

    def __init__(self, *, workers: int = WORKERS, waiting: int = WAITING) -> None:
        self._free = asyncio.Semaphore(workers)
        self._most = workers + waiting
        self._present = 0

    @property
    def present(self) -> int:
        """Documents that have a child, or wait for one."""
        return self._present

    @asynccontextmanager
    async def run(
        self, header: Mapping[str, Any], content: AsyncIterator[bytes], *, timeout_s: float
    ) -> AsyncIterator[Reply]:
        """Give a frame to a child and read its reply; the child ends with the block.

        Args:
            header: the task.
            content: the bytes of the frame.
            timeout_s: seconds for all of it, the block included.

        Raises:
            MeshError: why the document is not taken, or DOCUMENTS_BUSY.
        """
        if self._present >= self._most:
            raise MeshError(MaterialReason.DOCUMENTS_BUSY, retry_after_s=RETRY_AFTER_S)
        self._present += 1
        try:
            async with asyncio.timeout(timeout_s), self._free, _child() as child:
                yield await _reply(child, header, content)
        except TimeoutError as error:
            raise MeshError(MaterialReason.PDF_TOO_COMPLEX, metadata={"found": "time"}) from error
        finally:
            self._present -= 1


@asynccontextmanager
async def _child() -> AsyncIterator[Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        _MODULE,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=_ENVIRONMENT,
        limit=2 * PIECE_BYTES,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _reply(child: Process, header: Mapping[str, Any], content: AsyncIterator[bytes]) -> Reply:
    assert child.stdin is not None, "asked for above"
    assert child.stdout is not None, "asked for above"
    with suppress(ConnectionError):  # a child that is gone says more by how it went
        child.stdin.write(frame.head(header))
        async for part in content:
            child.stdin.write(part)
            await child.stdin.drain()
        child.stdin.close()
    try:
        length = frame.header_bytes(await child.stdout.readexactly(frame.LENGTH_BYTES))
        answered = frame.header(await child.stdout.readexactly(length))
    except asyncio.IncompleteReadError as error:
        raise await _ended(child) from error
    if "refusal" in answered:
        reason = _REASONS[Refusal(answered["refusal"])]
        raise MeshError(reason, metadata={"found": answered["fact"]} if answered["fact"] else {})
    return Reply(header=answered, _pipe=child.stdout)


async def _ended(child: Process) -> MeshError:
    """What a child means that ended without an answer: a signal is one of its bounds."""
    code = await child.wait()
    if code < 0:
        return MeshError(MaterialReason.PDF_TOO_COMPLEX, metadata={"found": f"signal {-code}"})
    _log.error("pdf_worker_failed", exit_code=code)
    return MeshError(MaterialReason.NOT_A_PDF)
