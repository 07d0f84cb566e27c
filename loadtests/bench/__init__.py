"""Benchmark suites: figures are ratios to a named peer, or have a fixed bar; measured in one run.

A suite is a module of this package with a function `figures(run)` that yields
`Figure`s in the order in which they are printed.
"""

from loadtests.bench._figure import Direction, Figure
from loadtests.bench._run import Run
from loadtests.bench._suites import SUITES, run_suite

__all__ = ["SUITES", "Direction", "Figure", "Run", "run_suite"]
