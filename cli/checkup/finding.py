"""What a check found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the examination. `advice` is empty when there is nothing to do."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Finding:
    """As it should be."""
    return Finding(name=name, verdict=Verdict.OK, found=found)


def warn(name: str, found: str, advice: str) -> Finding:
    """It runs, and is worse than it could be."""
    return Finding(name=name, verdict=Verdict.WARN, found=found, advice=advice)


def fail(name: str, found: str, advice: str) -> Finding:
    """It does not run, or loses what it should keep."""
    return Finding(name=name, verdict=Verdict.FAIL, found=found, advice=advice)


def graded(name: str, found: str, advice: str, *, bad: bool, worse: bool = False) -> Finding:
    """A failure when `worse`, else a warning when `bad`, else all right."""
    if worse:
        return fail(name, found, advice)
    return warn(name, found, advice) if bad else ok(name, found)
