"""A17, loan pre-approval viewed, not drawn for three days: a call, a drawdown, no inflow."""

from __future__ import annotations

import subprocess

import pytest

from bank.loans import EXPECTED
from loadtests.deployment import Platform
from tests.scenario.conftest import ENGINE, table


@pytest.mark.timeout(180)
def test_the_table_of_the_loan_scenario_is_found_exactly(platform: Platform) -> None:
    """Triggers, the one contact for two scenes, drawdowns, their reversal: every row of A17."""
    played = table(
        subprocess.run(
            [ENGINE, "demo", "loans", "--json"],
            env=dict(platform.environ),
            capture_output=True,
            text=True,
            check=False,
        )
    )
    wrong = {key: row for key, row in played.items() if not row["holds"]}
    assert wrong == {}
    assert set(played) == set(EXPECTED)
