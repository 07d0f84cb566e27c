"""What docs/clients.md shows to other teams works as it stands there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loadtests.deployment import Platform

DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"


def test_the_examples_for_other_teams_run(
    platform: Platform, run_document: Callable[..., str]
) -> None:
    """curl, both Python channels, the SDK and the export, on a platform with the demo bank."""
    said = run_document(DOCUMENT, {**platform.environ, "GATEWAY": platform.targets.gateway()})

    assert '"reason":"OUT_OF_SCOPE"' in said.replace(": ", ":")
    assert "OUT_OF_SCOPE - There is no such row" in said
    assert "one id: 1000" in said
    assert "a thousand: [range(1001, " in said
    assert "files in contracts" in said
