"""The benchmark suite of the sequencer."""

from __future__ import annotations

from loadtests.bench import Run
from loadtests.bench.sequencer import figures


def test_every_figure_is_measured() -> None:
    """The whole suite runs, here with stretches too short to mean anything."""
    run = Run(quick=True)
    run.stretch_s, run.pairs = 0.001, 2

    measured = list(figures(run))

    assert len(measured) == 6
    assert all(figure.value > 0 for figure in measured)
    assert [figure.bar for figure in measured if figure.bar is not None] == [0.6]
