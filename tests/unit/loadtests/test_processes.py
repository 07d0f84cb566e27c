"""A process that is asked to stop."""

from __future__ import annotations

import subprocess
import sys

ROUNDS = 5

BUSY = """
from loadtests.processes import asked_to_stop
asked = asked_to_stop()
print("busy", flush=True)
while not asked.wait(0):
    pass
"""


def test_one_that_looks_all_the_time_hears_that_it_is_asked_to_stop() -> None:
    """Whichever step the signal meets it at, it is not left waiting for a lock of its own."""
    for _ in range(ROUNDS):
        with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"busy\n"
            process.terminate()
            try:
                assert process.wait(20) == 0
            finally:
                process.kill()
