"""Puts load on the platform and says whether it held: `python -m loadtests.run_load`.

Uses the platform that runs on ENGINE_VAR; when none does, it starts one of its
own on free ports. Exits with 1 when more than 0.1 % of the requests failed, a
kind of user made none, or a user crashed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loadtests.deployment import Platform, own_platform
from loadtests.report import Report
from loadtests.targets import Targets

LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load and print the report; answers the exit code."""
    parser = argparse.ArgumentParser(description="Put load on the platform.")
    parser.add_argument("--users", type=int, default=30, help="users, some of each kind")
    parser.add_argument("--rate", type=int, default=10, help="users that start each second")
    parser.add_argument("--time", default="30s", help="how long: 30s, 5m")
    options = parser.parse_args(arguments)
    with _platform() as platform:
        print(f"{options.users} users for {options.time} …", flush=True)
        report = _locust(options, platform)
    print(report)
    complaints = report.complaints()
    for complaint in complaints:
        print(f"FAILED: {complaint}")
    return 1 if complaints else 0


@contextmanager
def _platform() -> Iterator[Platform]:
    """The platform that runs, or one for this run alone."""
    if Targets().running():
        yield Platform(environ=os.environ)
        return
    print("No platform runs here: starting one for this test …", flush=True)
    with own_platform() as platform:
        yield platform


def _locust(options: argparse.Namespace, platform: Platform) -> Report:
    """Run locust without its page and tables; its warnings go to standard error."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"]
        command += ["--users", str(options.users), "--spawn-rate", str(options.rate)]
        command += ["--run-time", options.time, "--stop-timeout", "10"]
        command += ["--report", str(report), "--loglevel", "WARNING"]
        command += ["--only-summary", "--json-file", f"{folder}/stats"]  # no tables
        subprocess.run(  # noqa: S603 - our own program
            command, env=platform.environ, stdout=subprocess.DEVNULL, check=False
        )
        return Report.read(report)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a platform of ours is stopped
    sys.exit(main())
