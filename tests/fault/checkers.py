"""Judges of a history: each answers what is wrong, in words, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any, Final, Protocol

from tests.fault.history import Operation, Outcome

MOST_TOLD: Final = 5


class Checker(Protocol):
    """Judges the operations of a run against what was found when all was healed."""

    def __call__(self, history: Sequence[Operation]) -> list[str]:
        """What is wrong; empty when nothing is."""


class ViolationError(AssertionError):
    """A run broke a promise; the text says which, and how to run it again."""


class NothingLost:
    """Every acknowledged write is there, no failed one is, and nothing that nobody wrote."""

    def __init__(self, found: Collection[Any], *, kind: str = "write") -> None:
        self._found = set(found)
        self._kind = kind

    def __call__(self, history: Sequence[Operation]) -> list[str]:
        outcomes = {o.value: o.outcome for o in history if o.kind == self._kind}
        acknowledged = {value for value, outcome in outcomes.items() if outcome is Outcome.OK}
        refused = {value for value, outcome in outcomes.items() if outcome is Outcome.FAILED}
        return [
            *_told("acknowledged and lost", acknowledged - self._found),
            *_told("refused and yet there", refused & self._found),
            *_told("there and never written", self._found - outcomes.keys()),
        ]


class EachOnce:
    """Every effect that must have happened did, none happened twice, and no other did.

    Args:
        effects: as they were found, with repetitions.
        expected: what they must be.
    """

    def __init__(self, effects: Iterable[Hashable], expected: Collection[Hashable]) -> None:
        self._effects = Counter(effects)
        self._expected = set(expected)

    def __call__(self, history: Sequence[Operation]) -> list[str]:
        doubled = [effect for effect, times in self._effects.items() if times > 1]
        found = self._effects.keys()
        return [
            *_told("effect doubled", doubled),
            *_told("effect missing", self._expected - found),
            *_told("effect of nothing", found - self._expected),
        ]


class Unique:
    """No value was given out twice by operations of a kind; answers are lists of values."""

    def __init__(self, kind: str = "next") -> None:
        self._kind = kind

    def __call__(self, history: Sequence[Operation]) -> list[str]:
        given = Counter(
            value
            for operation in history
            if operation.kind == self._kind and operation.outcome is Outcome.OK
            for value in operation.answer
        )
        return _told("given out twice", [value for value, times in given.items() if times > 1])


def check(history: Sequence[Operation], *checkers: Checker, again: str = "") -> None:
    """Let the checkers judge.

    Raises:
        ViolationError: with what is wrong, and `again`, the command that repeats the run.
    """
    wrong = [text for checker in checkers for text in checker(history)]
    if wrong:
        raise ViolationError("\n".join([*wrong, f"again: {again}" if again else ""]).rstrip())


def _told(what: str, values: Collection[Any]) -> list[str]:
    if not values:
        return []
    shown = ", ".join(str(value) for value in sorted(values, key=str)[:MOST_TOLD])
    return [f"{what}: {len(values)} ({shown}{', …' if len(values) > MOST_TOLD else ''})"]
