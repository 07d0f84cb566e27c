"""The fault harness: servers and processes that fail on schedule, histories that are checked.

A fault test starts victims, lets a seeded nemesis hurt them while workers note in a history
what they asked and were answered, heals everything, and has checkers judge the history
against what is found in the end. docs/howto/faults.md shows one in ten lines.
"""

from loadtests.proxy import Proxy
from tests.fault.checkers import (
    Checker,
    EachOnce,
    NothingLost,
    Unique,
    ViolationError,
    check,
)
from tests.fault.history import History, Outcome
from tests.fault.nemesis import Fault, Nemesis, link_faults, process_faults
from tests.fault.victims import Victim, Worker

__all__ = [
    "Checker",
    "EachOnce",
    "Fault",
    "History",
    "Nemesis",
    "NothingLost",
    "Outcome",
    "Proxy",
    "Unique",
    "Victim",
    "ViolationError",
    "Worker",
    "check",
    "link_faults",
    "process_faults",
]
