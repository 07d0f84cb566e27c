"""How figures are judged and printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.bench import SUITES, Direction, Figure, Run
from loadtests.bench.results import write

FIELDS = {"suite", "name", "value", "unit", "against", "bar", "direction", "holds"}


def readings(*values: float) -> Iterator[float]:
    """An uncounted reading, then the given ones."""
    yield values[0]
    yield from values


def ratio(ours: list[float], peer: list[float], bar: float, direction: str = ">=") -> Figure:
    mine, theirs = readings(*ours), readings(*peer)
    return Run().ratio(
        "x",
        lambda: next(mine),
        lambda: next(theirs),
        against="peer",
        bar=bar,
        direction=direction,
    )


def test_the_median_of_the_pairs_is_the_figure() -> None:
    """One pair that went wrong does not move it."""
    figure = ratio([10, 10, 10, 10, 100], [10, 10, 10, 10, 10], bar=0.9)
    assert figure.value == 1
    assert figure.holds is True


@pytest.mark.parametrize(
    ("ours", "direction", "holds"),
    [
        ([10, 10, 10, 10, 10], ">=", True),
        ([10, 10, 8, 8, 10], ">=", False),
        ([10, 10, 10, 10, 10], "<=", True),
        ([10, 10, 12, 12, 10], "<=", False),
    ],
)
def test_the_worse_quartile_must_meet_the_bar(
    ours: list[float], direction: str, holds: bool
) -> None:
    """A median that meets it is not enough."""
    assert ratio(ours, [10] * 5, bar=1.0, direction=direction).holds is holds


def test_a_peer_that_moves_makes_the_figure_noisy() -> None:
    """Then nothing is claimed, neither way."""
    figure = ratio([10] * 5, [10, 10, 13, 10, 10], bar=0.5)
    assert figure.holds is None
    assert "noisy" in figure.note


def test_a_report_is_not_judged() -> None:
    """It has no bar to hold."""
    assert Run().report("x", 1, "s").holds is None


def test_a_rate_counts_what_was_done_in_its_stretch() -> None:
    """Batches a second; a quick run measures for a shorter time."""
    run = Run(quick=True)
    run.stretch_s = 0.001
    assert run.rate(lambda: 10) > 10
    assert Run(quick=True).stretch_s < Run().stretch_s


def test_the_json_line_has_the_fields_that_others_read() -> None:
    """Names and kinds are a contract."""
    figure = ratio([10] * 5, [10] * 5, bar=0.9)
    line = figure.to_json("mesh")
    assert set(line) == FIELDS
    assert (line["suite"], line["direction"], line["holds"]) == ("mesh", ">=", True)


def test_results_show_failing_rows_as_such(tmp_path: Path) -> None:
    """An honest table: what fails says so, what is noisy says why."""
    rows = [
        Figure(name="a", value=1, unit="×", bar=2, direction=Direction.AT_LEAST, holds=False),
        Figure(name="b", value=1, unit="×", bar=1, direction=Direction.AT_MOST, holds=True),
        Figure(name="c", value=1, unit="×", note="noisy: the peer moved by 30%"),
        Figure(name="d", value=1, unit="s", holds=True, note="worst 2 s"),
    ]
    write(tmp_path / "RESULTS.md", {"mesh": rows})
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| a | 1 × |  |  | >= 2 | **fails** |" in text
    assert "| <= 1 | holds |" in text
    assert "| noisy: the peer moved by 30% |" in text
    assert "| holds; worst 2 s |" in text


def test_results_of_other_suites_are_kept(tmp_path: Path) -> None:
    """One suite can be measured anew by itself, and stays where it was."""
    results = tmp_path / "RESULTS.md"
    write(results, {"mesh": [Figure(name="a", value=1, unit="s")], "gateway": []})
    before = results.read_text()
    write(results, {"gateway": []})
    assert results.read_text() == before
    write(results, {"mesh": [Figure(name="b", value=1, unit="s")]})
    assert results.read_text() == before.replace("| a |", "| b |")


def test_every_suite_is_a_module_with_figures() -> None:
    """A name in the list leads to something that can be run."""
    from importlib import import_module

    for suite in SUITES:
        assert callable(import_module(f"loadtests.bench.{suite}").figures)


def absolute(values: list[float], moved: float = 0.0, direction: str = "<=") -> Figure:
    return Run().judged(
        "x", values, unit="s", bar=2.0, direction=Direction(direction), moved=moved, note="told"
    )


@pytest.mark.parametrize(
    ("values", "direction", "holds"),
    [
        ([1, 1, 1, 1, 9], "<=", True),
        ([1, 1, 1, 3, 3], "<=", False),
        ([3, 3, 3, 3, 0], ">=", True),
        ([3, 3, 3, 1, 1], ">=", False),
    ],
)
def test_the_worse_quartile_of_an_absolute_figure_must_meet_its_bar(
    values: list[float], direction: str, holds: bool
) -> None:
    """As with ratios: a median that meets it is not enough, one slip is forgiven."""
    assert absolute(values, direction=direction).holds is holds


def test_a_miss_on_a_machine_that_moved_is_noisy() -> None:
    """It may be the machine's; a bar that was met all the same was met."""
    missed, met = absolute([3] * 5, moved=0.5), absolute([1] * 5, moved=0.5)

    assert (missed.holds, met.holds) == (None, True)
    assert "noisy" in missed.note
    assert met.note == "told"


def test_an_absolute_figure_is_measured_as_often_as_a_ratio() -> None:
    """Once for each pair, with the calibration loop in between."""
    run = Run(quick=True)
    run.stretch_s = 0.001
    found = iter(range(1, run.pairs + 1))

    figure = run.absolute("x", lambda: next(found), unit="/s", bar=0, direction=Direction.AT_LEAST)

    assert figure.value == 3
    assert next(found, None) is None
