"""What this server has seen of the logs, on its own disk: it shows when their store was put back.

The store is what allocates; the journal only bears witness. So it is never a reason
not to serve: a file that is damaged is put aside, and what cannot be written now is
kept in memory and written later. Both are logged as errors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from mesh.log import get_logger
from sequencer.entry import Witness
from sequencer.witness_file import FOREIGN, WitnessFile, is_damage, opened

RETRY_S: Final = 5.0
"""After a failure nothing is tried for so long."""

_log: Final = get_logger(__name__)


class WitnessJournal:
    """The newest witness of each sequence, in a file that processes of one host share.

    A context manager; used by one thread. Once `note` has returned, what was noted
    outlives the process, however that ends; a loss of power may undo the last notes.
    A note takes some 30 µs, and rarely waits for the disk or for another process, for
    that up to `witness_file.BUSY_S`.

    Args:
        path: the file; made when there is none.
        monotonic: tells when to try again after a failure.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._known: dict[int, Witness] = {}
        self._file: WitnessFile | None = None
        self._retry_at = 0.0
        self._is_behind = False

    def __enter__(self) -> Self:
        self._ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._write({})
        self._close()

    @property
    def is_behind(self) -> bool:
        """Whether the file lacks what was noted here; it was logged why."""
        return self._is_behind

    def note(self, sequence: int, witness: Witness) -> None:
        """Remember a witness, unless a newer one of the sequence is known."""
        self.note_all({sequence: witness})

    def note_all(self, witnesses: Mapping[int, Witness]) -> None:
        """Remember a witness for each of several sequences, all at once."""
        news = {
            sequence: witness
            for sequence, witness in witnesses.items()
            if (known := self._known.get(sequence)) is None or known.age < witness.age
        }
        if news:
            self._known |= news
            self._write(news)

    def read(self, sequence: int) -> Witness | None:
        """The newest witness of a sequence that any process has noted."""
        own = self._known.get(sequence)
        return self._newest({sequence: own} if own else {}, sequence).get(sequence)

    def all(self) -> Mapping[int, Witness]:
        """The newest witness of each sequence."""
        return self._newest(self._known)

    def _newest(self, own: Mapping[int, Witness], *of: int) -> dict[int, Witness]:
        newest = dict(own)
        try:
            found = file.witnesses(*of) if (file := self._ready()) else {}
        except FOREIGN as error:
            self._failed(error)
            return newest
        for sequence, witness in found.items():
            if sequence not in newest or newest[sequence].age < witness.age:
                newest[sequence] = witness
        return newest

    def _write(self, news: Mapping[int, Witness]) -> None:
        for _ in range(2):  # a fresh file may have to take the place of a damaged one
            file = self._ready()
            self._is_behind |= bool(news) and file is None
            missing = self._known if self._is_behind else news
            if file is None or not missing:
                return
            try:
                file.note(missing)
            except FOREIGN as error:
                self._failed(error)
            else:
                self._is_behind = False
                return

    def _ready(self) -> WitnessFile | None:
        """The file; opened when it is not, or is not what lies in its place any more."""
        if self._file is not None and self._file.is_in_place:
            return self._file
        self._close()
        if self._monotonic() >= self._retry_at:
            self._is_behind = bool(self._known)
            try:
                self._file = opened(self._path)
            except (*FOREIGN, OSError) as error:
                self._failed(error)
        return self._file

    def _failed(self, error: Exception) -> None:
        _log.error("journal_unusable", path=str(self._path), error=str(error))
        is_found_damaged = self._file is not None and is_damage(error)
        self._close()
        self._is_behind = bool(self._known)
        # A damaged file is put aside when it is opened anew: that may be at once.
        self._retry_at = self._monotonic() + (0.0 if is_found_damaged else RETRY_S)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
