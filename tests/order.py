"""Which process of a run has which tests, and in which order."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]
PLATFORM = "platform"
SCENARIOS = "tests/scenario/"
LONG = ("tests/integration/", "tests/fault/", SCENARIOS)

_IMPORTED = re.compile(r"^from loadtests\.deployment import .*\bPlatform\b", re.MULTILINE)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Files go to one process each, those of the platform to the same, in the order of `arrange`.

    A process that hands out tests knows nothing of them but their names.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return PLATFORM if needs_platform(nodeid) else _file(nodeid)


def arrange(items: list[pytest.Item]) -> None:
    """Put long files first, so that no process waits long for another at the end.

    Those that share the platform follow each other, so that it need not outlast them.
    """
    items.sort(key=lambda item: _place(item.nodeid))


def needs_platform(nodeid: str) -> bool:
    """Whether a test is in a file that shares the platform: a scenario, or one that imports it."""
    return _shares(_file(nodeid))


def is_last_of_platform(item: pytest.Item) -> bool:
    """Whether no test after this one needs the platform."""
    those = (other for other in reversed(item.session.items) if needs_platform(other.nodeid))
    return item is next(those, None)


@cache
def _shares(file: str) -> bool:
    return file.startswith(SCENARIOS) or bool(_IMPORTED.search((ROOT / file).read_text()))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _place(nodeid: str) -> int:
    if needs_platform(nodeid):
        return 1
    return 0 if nodeid.startswith(LONG) else 2
