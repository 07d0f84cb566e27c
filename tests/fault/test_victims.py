"""A worker can be killed, frozen and started again, and tells when it serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault import Worker

MODULE = "tests.fault.lamp"


def test_each_life_serves_before_start_returns(tmp_path: Path) -> None:
    """Killed and started again, it is another process; its words of all lives are kept."""
    with Worker(MODULE, log=tmp_path / "log") as worker:
        worker.restart()
        worker.stop()
        worker.start()
    assert len(set(worker.said)) == len(worker.said) == 3


def test_a_frozen_worker_stands_still_and_goes_on(tmp_path: Path) -> None:
    """It is the same process before and after; one that is left frozen ends as well."""
    with Worker(MODULE, log=tmp_path / "log") as worker:
        worker.pause()
        until_it_is(worker, frozen=True)
        worker.resume()
        until_it_is(worker, frozen=False)
        worker.pause()
    assert len(worker.said) == 1


def test_one_that_cannot_start_says_so(tmp_path: Path) -> None:
    """It ends before it serves: waiting for it would be in vain."""
    with (
        pytest.raises(RuntimeError, match="ended before it served"),
        Worker(MODULE, "broken", log=tmp_path / "log"),
    ):
        raise AssertionError("it serves")


def until_it_is(worker: Worker, *, frozen: bool) -> None:
    """Return once the system says so; the test's time-out bounds the wait."""
    (number,) = worker.said
    stat = Path(f"/proc/{number}/stat")
    while (stat.read_text().rpartition(")")[2].split()[0] == "T") != frozen:
        pass
