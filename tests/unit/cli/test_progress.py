from __future__ import annotations

import pytest

from cli.progress import progress_bar


def test_progress_says_each_tenth_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand steps are ten lines."""
    with progress_bar("Loading") as progress:
        for done in range(1_001):
            progress(done, 1_000)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "Loading: 1,000 of 1,000 customers"


def test_progress_is_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who watches sees label and figures."""
    monkeypatch.setattr("cli.progress.terminal", lambda: True)
    with progress_bar("Loading") as progress:
        progress(500, 1_000)
    shown = capsys.readouterr().out
    assert "Loading" in shown
    assert "500/1000" in shown


def test_work_that_was_done_before_shows_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing reported, nothing shown."""
    monkeypatch.setattr("cli.progress.terminal", lambda: True)
    with progress_bar("Loading"):
        pass
    assert "Loading" not in capsys.readouterr().out
