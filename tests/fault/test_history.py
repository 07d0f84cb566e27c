"""A history outlives who writes it, and checkers find what is wrong in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fault import EachOnce, History, NothingLost, Outcome, Unique, ViolationError, check
from tests.fault.history import Operation, faults, operations


def wrote(value: Any, outcome: Outcome, answer: Any = None, kind: str = "write") -> Operation:
    return Operation(process="p", kind=kind, value=value, outcome=outcome, answer=answer)


def test_operations_are_read_as_they_ended(tmp_path: Path) -> None:
    """Acknowledged, refused, broken off by an exception: each is told apart."""
    path = tmp_path / "history.jsonl"
    with History(path, seed=7) as history:
        with history.operation("write", 1) as operation:
            operation.ok("done")
        with history.operation("write", 2) as operation:
            operation.failed()
        with pytest.raises(TimeoutError), history.operation("write", 3):
            raise TimeoutError
        history.fault("kill mariadb")
    found = operations([path])
    assert [(o.value, o.outcome, o.answer) for o in found] == [
        (1, Outcome.OK, "done"),
        (2, Outcome.FAILED, None),
        (3, Outcome.UNKNOWN, None),
    ]
    assert faults(path) == ["kill mariadb"]


def test_an_operation_whose_process_died_is_unknown(tmp_path: Path) -> None:
    """What was invoked and never ended may have happened; half a line is no line."""
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        history.operation("write", 1).__enter__()
    with path.open("a") as file:
        file.write('{"type": "INVO')
    assert [o.outcome for o in operations([path])] == [Outcome.UNKNOWN]


def test_lost_and_invented_writes_are_found() -> None:
    """Each broken promise has its words; what is unknown may be either way."""
    history = [wrote(1, Outcome.OK), wrote(2, Outcome.FAILED), wrote(3, Outcome.UNKNOWN)]
    assert NothingLost({1})(history) == []
    assert NothingLost({1, 3})(history) == []
    assert NothingLost({2, 4})(history) == [
        "acknowledged and lost: 1 (1)",
        "refused and yet there: 1 (2)",
        "there and never written: 1 (4)",
    ]


def test_doubled_missing_and_invented_effects_are_found() -> None:
    """An effect must be there once, and only for a cause."""
    assert EachOnce([1, 2], [1, 2])([]) == []
    assert EachOnce([1, 1, 3], [1, 2])([]) == [
        "effect doubled: 1 (1)",
        "effect missing: 1 (2)",
        "effect of nothing: 1 (3)",
    ]


def test_values_given_out_twice_are_found() -> None:
    """Two answers must not share a value."""
    history = [wrote(0, Outcome.OK, answer, kind="next") for answer in ([1, 2], [2, 3])]
    assert Unique()(history) == ["given out twice: 1 (2)"]


def test_a_violation_says_how_to_run_it_again() -> None:
    """Who sees it fail can repeat it."""
    with pytest.raises(ViolationError, match=r"(?s)lost: 1.*again: make chaos SEED=7"):
        check([wrote(1, Outcome.OK)], NothingLost(()), again="make chaos SEED=7")
