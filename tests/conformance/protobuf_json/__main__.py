"""Protobuf's JSON conformance through the gateway: `make conformance`.

Runs the suite twice: strict, and with the cases that ask to ignore unknown fields on lax
routes. Exits with 1 unless every case passes, recommended ones as well.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.conformance.protobuf_json.runner import BuildError, Workshop

FOLDER: Final = Path("build/conformance")
CASES: Final = {"strict": 709, "lax": 715}
"""The JSON cases of the suite; fewer would mean that some were passed over."""

_RESULT = re.compile(r"(\d+) successes, \d+ skipped, \d+ expected failures, (\d+) unexpected")


def passed(workshop: Workshop, kind: str) -> int:
    """How many cases pass; those that do not are printed."""
    program = workshop.folder / f"testee-{kind}"
    testee = [sys.executable, "-m", "tests.conformance.protobuf_json.testee"]
    testee += [str(workshop.contract), f"--{kind}"]
    log = shlex.quote(str(program.with_suffix(".log")))
    program.write_text(f"#!/bin/sh\nexec {shlex.join(testee)} 2>>{log}\n")
    program.chmod(0o755)
    done = subprocess.run(
        [
            *(str(workshop.runner), "--enforce_recommended"),
            *("--output_dir", f"{workshop.folder}/", str(program)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    found = _RESULT.search(done.stdout)
    if found is None or int(found[2]) or done.returncode:
        print(done.stdout, file=sys.stderr)
    return int(found[1]) if found else 0


def main() -> int:
    """Build, run, print; the exit code."""
    workshop = Workshop(FOLDER)
    if not workshop.runner.exists():
        print("Fetching and building the conformance runner: about two minutes …", flush=True)
    try:
        workshop.build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    whole = True
    for kind, cases in CASES.items():
        count = passed(workshop, kind)
        print(f"Protobuf JSON over HTTP, {kind}: {count} of {cases}", flush=True)
        whole &= count == cases
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
