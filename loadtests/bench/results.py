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
_SUITE = "## "
_HEADING = """# Results

Ratios are medians over alternating pairs; a bar holds when the worse quartile meets it and the
peer moved by at most 25 %. Absolute figures are to be read beside the calibration loop of their
suite; one that misses its bar while that loop moves by more than 25 % is noisy. `make bench`
measures all suites, `engine bench run SUITE --results loadtests/RESULTS.md` one."""
_VERDICT = {True: "holds", False: "**fails**", None: "–"}


def write(path: Path, suites: Mapping[str, Sequence[Figure]]) -> None:
    """Put the figures of this run in the place of those of the same suites.

    The file keeps what it says of other suites, each with when and where it was measured.
    """
    kept = _sections(path.read_text()) if path.exists() else {}
    sections = kept | {suite: _section(figures) for suite, figures in suites.items()}
    text = [f"{_SUITE}{suite}\n\n{section}" for suite, section in sections.items()]
    path.write_text("\n\n".join([_HEADING, *text]) + "\n")


def _sections(text: str) -> dict[str, str]:
    """What a file says of each suite."""
    parts = [part.partition("\n") for part in f"\n{text}".split(f"\n{_SUITE}")[1:]]
    return {suite.strip(): section.strip() for suite, _, section in parts}


def _section(figures: Sequence[Figure]) -> str:
    head = ["| figure | median | quartiles | against | bar | |", "|---|---|---|---|---|---|"]
    return "\n".join([_measured(), "", *head, *map(_row, figures)])


def _measured() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: Python {platform.python_version()}, "
        f"{os.cpu_count()} cores ({_processor()}), {libraries}."
    )


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
