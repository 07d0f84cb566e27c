"""The benchmark suite of the sequencer."""

from __future__ import annotations

import pytest

from loadtests.bench import Run, sequencer_client, sequencer_serials

FEWER = "from loadtests.bench import sequencer_client as it\nit.SEQUENCES = 1_000\n"
"""Before the program that measures memory: so many sequences do."""


def test_every_figure_of_the_client_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole part runs, here with stretches too short to mean anything."""
    run = Run(quick=True)
    run.stretch_s, run.pairs = 0.001, 2
    monkeypatch.setattr(sequencer_client, "BATCH", 1_000)
    monkeypatch.setattr(sequencer_client, "MEMORY", FEWER + sequencer_client.MEMORY)

    measured = list(sequencer_client.figures(run))

    assert all(figure.value > 0 for figure in measured if "raised" not in figure.name)
    bars = [figure.bar for figure in measured if figure.bar is not None]
    assert bars == [0.85, 0.9, 0.85, 1_000, 0.7, 1.8, 1.8, 0.8, 2.0, 3.0, 0, 60, 4.0]
    assert len({figure.name for figure in measured}) == len(measured)


def test_serials_are_measured_against_the_same_text() -> None:
    """The peer by hand must write what the format writes."""
    run = Run(quick=True)
    run.stretch_s, run.pairs = 0.001, 2

    ratio, rate = sequencer_serials.serial_figures(run)

    assert (ratio.bar, str(ratio.direction)) == (0.6, ">=")
    assert rate.value > 0
