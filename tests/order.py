"""Which process of a run has which tests, and in which order."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadGroupScheduling

PLATFORM = "platform"
"""The fixture, and the group of those who need it: there is one platform in a run."""

_LONG = ("tests/integration/", "tests/fault/", "tests/scenario/")


class ByFile(LoadGroupScheduling):  # type: ignore[misc]  # xdist has no types
    """A group of tests goes to one process; of tests without a group those of a file."""

    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if scope == nodeid else scope


def needs_platform(item: pytest.Item | None) -> bool:
    """Whether a test is one of those that share the platform."""
    return PLATFORM in getattr(item, "fixturenames", ())


def is_kept(config: pytest.Config) -> bool:
    """Whether this process runs its tests in the order of `arrange`."""
    return bool(getattr(config.option, "loadgroup", True))  # xdist says so to its workers alone


def arrange(items: list[pytest.Item]) -> None:
    """Put long files first, so that no process waits long for another at the end.

    Tests of the platform follow each other, so that it need not outlast them.
    """
    for item in items:
        if needs_platform(item):
            item.add_marker(pytest.mark.xdist_group(PLATFORM))
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if needs_platform(item):
        return 1
    return 0 if item.nodeid.startswith(_LONG) else 2
