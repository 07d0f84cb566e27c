"""How far each lease is used up, on this machine's disk, for the time after a SIGKILL.

One file for each client, which holds a lock on it for as long as its process
lives. Before ids of a piece are used the file says that they are; it is not
synced, since what the kernel has been given outlives the process. A file of
another boot may lack its last writes, and is worth nothing. The folder must be on
a local disk, and never be put back from a copy.

The file is a row of slots of 256 bytes, so none crosses a page and each write is
done wholly or not at all, whenever the process is killed. The first slot names the
boot and the client; each other one is a lease: how far it is used, and how many of
those ids are in the open piece, where a kill loses them. It is free when all of the
lease is used and none of it can be lost.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from sequencer.sdk._errors import SequencerError
from sequencer.sdk._source import Lease, Tail

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

_SLOT: Final = 256
_HEADER: Final = struct.Struct("<40s100s")
_LEASE: Final = struct.Struct("<qqqq120sq")  # used, size, number, mark, name, lost
_SUFFIX: Final = ".tails"
_DRAFT: Final = ".new"
_DRAFT_S: Final = 60.0
"""A draft becomes a journal at once; the maker of an older one was killed."""

_log = logging.getLogger("sequencer.sdk")


class Journal:
    """The file of one client. It is made when the first lease is added.

    When it cannot be made that is logged once, and the client goes on without:
    ids that it holds when it is killed are lost.
    """

    def __init__(self, folder: Path, client_id: str) -> None:
        self.folder = folder
        self._client_id = client_id
        self._path = folder / f"{client_id}{_SUFFIX}"
        self._file: int | None = None
        self._broken = False
        self._slots: dict[tuple[str, int], int] = {}
        self._last: dict[str, Lease] = {}  # all used, but their last piece may still be open
        self._free: list[int] = []
        self._end = _SLOT

    def add(self, name: str, lease: Lease) -> None:
        """Write down a lease that nothing is used of. By one thread at a time."""
        encoded = name.encode()
        if self._broken or len(encoded) > 120:
            return
        try:
            if self._file is None:
                self._file = _created(self._path, self._client_id)
            slot = self._free.pop() if self._free else self._end
            self._end = max(self._end, slot + _SLOT)
            os.pwrite(self._file, _slot(name, lease, 0, 0), slot)
            self._slots[name, lease.number] = slot
        except OSError as error:
            self._broken = True  # of the leases that are in it the file goes on telling
            _log.warning("journal_not_written: %s: %s", self.folder, error)

    def note(self, name: str, lease: Lease, used: int, lost: int) -> None:
        """Write down that the first `used` ids of a lease are used, before they are.

        A kill may lose the last `lost` of them; of older leases of the sequence
        nothing any more.

        Raises:
            SequencerError: neither that can be written, nor the file removed.
        """
        before = self._last.pop(name, lease)
        self._write(name, lease, used, lost)
        if before.number != lease.number:
            self._write(name, before, before.size, 0)

    def close(self) -> None:
        """Remove the file, unless it tells of ids that could not be returned."""
        file, self._file, self._broken = self._file, None, True
        if file is not None:
            if not self._slots:
                self._path.unlink(missing_ok=True)
            os.close(file)

    def abandon(self) -> None:
        """Let the file alone, as a forked child does with its parent's."""
        file, self._file, self._broken = self._file, None, True
        self._slots = {}
        if file is not None:
            os.close(file)

    def _write(self, name: str, lease: Lease, used: int, lost: int) -> None:
        slot = self._slots.get((name, lease.number))
        if slot is None:
            return
        if self._file is not None:
            try:
                os.pwrite(self._file, _slot(name, lease, used, lost), slot)
            except OSError as error:
                _log.warning("journal_not_written: %s: %s", self.folder, error)
                self._break()
        elif lost:
            raise SequencerError("The client is closed")
        if used == lease.size and lost:
            self._last[name] = lease
        elif used == lease.size and self._slots.pop((name, lease.number), None) is not None:
            self._free.append(slot)

    def _break(self) -> None:
        """Give up. The file must go, for it tells of used ids as unused."""
        self._broken = True
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise SequencerError(f"The journal {self._path} cannot be written") from error
        self._slots = {}


def recover(folder: Path, give_back: Callable[[Tail], None]) -> Generator[int, None, None]:
    """Give back what clients that are dead left in the folder, one lease at each step.

    Yields how many ids that were. What `give_back` raises ends it; the file stays
    for another time, as one does that cannot be read.
    """
    _remove_drafts(folder)
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with _orphan(path) as tails:
            for tail, unused in tails:
                give_back(tail)
                if tail.lost:
                    _log.warning("ids_lost: %s: %d at most", tail.name, tail.lost)
                yield unused


@contextmanager
def _orphan(path: Path) -> Iterator[list[tuple[Tail, int]]]:
    """What a journal says whose owner is dead, which is removed in the end; else nothing."""
    with ExitStack() as held:
        tails: list[tuple[Tail, int]] = []
        is_read = False
        with _told(path):
            file = os.open(path, os.O_RDWR)
            held.callback(os.close, file)
            if _locked(file):
                tails, is_read = [*_tails(path.read_bytes())], True
        yield tails
        if is_read:
            with _told(path):
                path.unlink()


def _remove_drafts(folder: Path) -> None:
    """Remove the journals that clients were killed in the middle of making."""
    for path in folder.glob(f"*{_DRAFT}"):
        with _told(path):
            if path.stat().st_mtime < time.time() - _DRAFT_S:
                path.unlink()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell of a journal that cannot be read or removed: there are others."""
    try:
        yield
    except FileNotFoundError:  # somebody else has just removed it
        pass
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("journal_not_read: %s: %s", path, error)


def _locked(file: int) -> bool:
    """Whether it could be locked, and is still there."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # its owner lives
        return False
    return os.fstat(file).st_nlink > 0


def _tails(data: bytes) -> Iterator[tuple[Tail, int]]:
    """The leases that were not used up or may have lost ids, and how many ids each had left."""
    if len(data) < _SLOT:
        return
    boot, client_id = (text.rstrip(b"\0").decode() for text in _HEADER.unpack_from(data))
    if boot != _boot():
        return
    for slot in range(_SLOT, len(data) - _LEASE.size + 1, _SLOT):
        used, size, number, mark, name, lost = _LEASE.unpack_from(data, slot)
        if used < size or lost:
            tail = Tail(
                name=name.rstrip(b"\0").decode(),
                client_id=client_id,
                lease_number=number,
                mark=mark,
                used=used,
                lost=lost,
            )
            yield tail, size - used


def _slot(name: str, lease: Lease, used: int, lost: int) -> bytes:
    return _LEASE.pack(used, lease.size, lease.number, lease.mark, name.encode(), lost)


def _created(path: Path, client_id: str) -> int:
    """A new journal, locked before anybody else can see it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(_DRAFT)
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        header = _HEADER.pack(_boot().encode(), client_id.encode())
        os.pwrite(file, header.ljust(_SLOT, b"\0"), 0)
        draft.rename(path)
    except OSError:
        os.close(file)
        with suppress(OSError):
            draft.unlink()
        raise
    return file


def _boot() -> str:
    """What tells this run of the kernel from any other."""
    return BOOT_ID.read_text().strip()
