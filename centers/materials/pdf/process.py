"""The service's side of the child that parses documents; see `worker` for why there is one.

The child is started by `subprocess` and not by the event loop: uvloop forks, and
gRPC's handlers would run in the middle of its calls. `subprocess` uses vfork, of
which no handler learns. Its two pipes are the two directions of one socket.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
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
            # A document that works too long is ended by its share of processor time.
            busy = MaterialReason.DOCUMENTS_BUSY
            raise MeshError(busy, retry_after_s=RETRY_AFTER_S) from error
        finally:
            self._present -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    """A process and the streams to and from it."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@asynccontextmanager
async def _child() -> AsyncIterator[_Child]:
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_connection(sock=ours, limit=2 * PIECE_BYTES)
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - our module; a millisecond
            [sys.executable, "-m", _MODULE],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
        )
    try:
        yield _Child(process=process, reader=reader, writer=writer)
    finally:
        process.kill()
        writer.close()
        await asyncio.to_thread(process.wait)


async def _reply(child: _Child, header: Mapping[str, Any], content: AsyncIterator[bytes]) -> Reply:
    with suppress(ConnectionError):  # a child that is gone says more by how it went
        child.writer.write(frame.head(header))
        async for part in content:
            child.writer.write(part)
            await child.writer.drain()
        child.writer.write_eof()
    try:
        length = frame.header_bytes(await child.reader.readexactly(frame.LENGTH_BYTES))
        answered = frame.header(await child.reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise await _ended(child.process) from error
    if "refusal" in answered:
        reason = _REASONS[Refusal(answered["refusal"])]
        raise MeshError(reason, metadata={"found": answered["fact"]} if answered["fact"] else {})
    return Reply(header=answered, _pipe=child.reader)


async def _ended(process: subprocess.Popen[bytes]) -> MeshError:
    """What a child means that ended without an answer: a signal is one of its bounds."""
    code = await asyncio.to_thread(process.wait)
    if code < 0:
        return MeshError(MaterialReason.PDF_TOO_COMPLEX, metadata={"found": f"signal {-code}"})
    _log.error("pdf_worker_failed", exit_code=code)
    return MeshError(MaterialReason.NOT_A_PDF)
