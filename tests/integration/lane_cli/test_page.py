"""The examples of docs/howto/lanes.md work as they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.deployment import Platform
from tests.integration.pages import HOWTO, commands, run


@pytest.mark.slow
def test_all_that_the_page_shows_runs(platform: Platform, tmp_path: Path) -> None:
    """One command after another, in one folder, beside a demo; the call is seen."""
    found = [*commands(HOWTO / "lanes.md")]
    assert len(found) > 5
    assert "CustomerService/ListCustomers" in run(found, tmp_path, platform.environ)
