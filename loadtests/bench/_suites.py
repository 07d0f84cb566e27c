"""The suites by name."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from loadtests.bench._figure import Figure
from loadtests.bench._run import Run

SUITES = (
    "sequencer",
    "mesh",
    "discovery",
    "gateway",
    "transcoder",
    "expression",
    "storage",
    "loop",
)


def run_suite(name: str, *, quick: bool) -> Iterator[Figure]:
    """Measure one suite; yields each figure as soon as it is known."""
    run = Run(quick=quick)
    yield run.calibration()
    yield from import_module(f"loadtests.bench.{name}").figures(run)
