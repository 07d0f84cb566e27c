"""Writes `loadtests/RESULTS.md`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from loadtests.bench._figure import Direction, Figure

_LIBRARIES = ("grpcio", "protobuf", "uvloop", "httptools", "sqlalchemy", "protovalidate")
_VERDICT = {True: "holds", False: "**fails**", None: "–"}


def write(path: Path, suites: Mapping[str, Sequence[Figure]]) -> None:
    """Replace the file at `path` with the figures of this run."""
    lines = ["# Results", "", *_heading(), ""]
    for suite, figures in suites.items():
        lines += [f"## {suite}", "", "| figure | median | quartiles | against | bar | |"]
        lines += ["|---|---|---|---|---|---|", *map(_row, figures), ""]
    path.write_text("\n".join(lines))


def _heading() -> list[str]:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    measured = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `make bench`: Python "
        f"{platform.python_version()}, {os.cpu_count()} cores ({_processor()}), {libraries}."
    )
    rule = (
        "Ratios are medians over alternating pairs; a bar holds when the worse quartile meets it "
        "and the peer moved by at most 25 %. Absolute figures are to be read beside the "
        "calibration loop of their suite; one that misses its bar while that loop moves by more "
        "than 25 % is noisy."
    )
    return [measured, "", rule]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _row(figure: Figure) -> str:
    spread = f"{figure.quartiles[0]:.3g} – {figure.quartiles[1]:.3g}" if figure.quartiles else ""
    bar = "" if figure.direction is Direction.REPORT else f"{figure.direction} {figure.bar:g}"
    said = [] if figure.holds is None and figure.note else [_VERDICT[figure.holds]]
    verdict = "; ".join([*said, figure.note] if figure.note else said)
    value = f"{figure.value:,.3g}" if abs(figure.value) < 1000 else f"{figure.value:,.0f}"
    return (
        f"| {figure.name} | {value} {figure.unit} | {spread} | {figure.against} | {bar} "
        f"| {verdict} |"
    )
