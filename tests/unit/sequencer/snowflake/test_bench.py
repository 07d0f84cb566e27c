"""The figures of snowflake sequences in the benchmark suite."""

from __future__ import annotations

import pytest

from loadtests.bench import Run, sequencer_snowflake


def test_every_figure_of_snowflakes_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole part runs, here with stretches too short to mean anything."""
    run = Run(quick=True)
    run.stretch_s, run.pairs = 0.01, 2
    monkeypatch.setattr(sequencer_snowflake, "BATCH", 1_000)

    measured = list(sequencer_snowflake.snowflake_figures(run))

    assert all(figure.value > 0 for figure in measured)
    assert [figure.bar for figure in measured if figure.bar is not None] == [2]
    assert len({figure.name for figure in measured}) == len(measured)
