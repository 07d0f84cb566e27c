"""A worker that notes ever newer witnesses, and prints each number once it is noted.

Arguments: the journal, how many sequences, the epoch, how many notes (0: without end).
"""

from __future__ import annotations

import signal
import sys
from itertools import count
from pathlib import Path

from sequencer.journal import WitnessJournal
from tests.fault.victims import serving
from tests.unit.sequencer.witnesses import witness


def main(path: str, sequences: str, epoch: str, notes: str) -> None:
    with WitnessJournal(Path(path)) as journal:
        serving()
        for number in range(int(notes)) if int(notes) else count():
            journal.note(number % int(sequences), witness(number, int(epoch)))
            print(number, flush=True)
        signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(*sys.argv[1:])
