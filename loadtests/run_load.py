"""Puts load on the platform and says whether it held: `python -m loadtests.run_load`.

Uses the platform that runs on ENGINE_VAR; when none does, it starts one of its
own on free ports. Exits with 1 when more than 0.1 % of the requests failed or a
kind of user made none.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.deployment import Platform, own_platform
from loadtests.targets import Targets

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
MAX_ERROR_RATIO = 0.001
USERS = {"REST": ("GET", "POST"), "stub": ("gRPC",), "SDK": ("SDK",)}
"""The kinds of users, and of the requests that each reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What locust counted of one kind of request; times in milliseconds."""

    kind: str
    name: str
    requests: int
    failures: int
    rate_per_s: float
    p50_ms: float
    p99_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load and print the summary; answers the exit code."""
    parser = argparse.ArgumentParser(description="Put load on the platform.")
    parser.add_argument("--users", type=int, default=30, help="users, a third of each kind")
    parser.add_argument("--rate", type=int, default=10, help="users that start each second")
    parser.add_argument("--time", default="30s", help="how long: 30s, 5m")
    options = parser.parse_args(arguments)
    with _platform() as platform, tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "load"
        _locust(options, platform.environ, prefix)
        lines = read_lines(prefix)
        errors = _rows(prefix, "failures")
    print(summary(lines))
    for error in errors:
        print(f"{error['Occurrences']} x {error['Method']} {error['Name']}: {error['Error']}")
    complaints = verdict(lines)
    for complaint in complaints:
        print(f"FAILED: {complaint}")
    return 1 if complaints else 0


def read_lines(prefix: Path) -> list[Line]:
    """The statistics that locust wrote (`--csv prefix`); none when it wrote none."""
    return [_line(row) for row in _rows(prefix, "stats") if row["Type"]]


def verdict(lines: Sequence[Line]) -> list[str]:
    """What is wrong with a run; nothing when it held."""
    complaints = [
        f"no request by {user} users"
        for user, kinds in USERS.items()
        if not any(line.requests for line in lines if line.kind in kinds)
    ]
    requests, failures = sum(x.requests for x in lines), sum(x.failures for x in lines)
    if failures > requests * MAX_ERROR_RATIO:
        allowed = f"{MAX_ERROR_RATIO:.1%} are allowed"
        complaints.append(f"{failures} of {requests} requests failed, {allowed}")
    return complaints


def summary(lines: Sequence[Line]) -> str:
    """The statistics as a table."""
    head = (
        f"{'':4} {'request':40} {'count':>8} {'failed':>7} {'per s':>8} {'p50 ms':>7} {'p99 ms':>7}"
    )
    rows = [
        f"{x.kind:4} {x.name:40} {x.requests:8} {x.failures:7} "
        f"{x.rate_per_s:8.1f} {x.p50_ms:7.1f} {x.p99_ms:7.1f}"
        for x in lines
    ]
    return "\n".join([head, *rows])


@contextmanager
def _platform() -> Iterator[Platform]:
    """The platform that runs, or one for this run alone."""
    if Targets().running():
        yield Platform(environ=os.environ)
        return
    print("No platform runs here: starting one for this test …", flush=True)
    with own_platform() as platform:
        yield platform


def _locust(options: argparse.Namespace, environ: Mapping[str, str], prefix: Path) -> None:
    """Run locust without its web page; its warnings go to standard error."""
    print(f"{options.users} users for {options.time} …", flush=True)
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"]
    command += ["--users", str(options.users), "--spawn-rate", str(options.rate)]
    command += ["--run-time", options.time, "--stop-timeout", "10", "--csv", str(prefix)]
    command += ["--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"]
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)  # noqa: S603


def _rows(prefix: Path, kind: str) -> list[dict[str, str]]:
    path = prefix.with_name(f"{prefix.name}_{kind}.csv")
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _line(row: Mapping[str, str]) -> Line:
    return Line(
        kind=row["Type"],
        name=row["Name"],
        requests=int(row["Request Count"]),
        failures=int(row["Failure Count"]),
        rate_per_s=float(row["Requests/s"]),
        p50_ms=float(row["50%"]),
        p99_ms=float(row["99%"]),
    )


if __name__ == "__main__":
    sys.exit(main())
