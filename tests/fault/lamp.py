"""A worker that says its number, serves, and does nothing until it is told to end."""

from __future__ import annotations

import os
import signal
import sys

from tests.fault.victims import serving

if __name__ == "__main__":
    if sys.argv[1:] == ["broken"]:
        sys.exit(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(os.getpid(), flush=True)
    serving()
    while True:
        signal.pause()
