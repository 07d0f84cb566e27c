"""What the settings of the platform make of a channel's resilience."""

from __future__ import annotations

from mesh.resilience import Outliers, Resilience
from mesh.settings import Settings


def test_without_settings_a_channel_is_as_it_is_by_default() -> None:
    """A client outside the platform, which has no settings, behaves alike."""
    assert Resilience.of(Settings()) == Resilience()


def test_settings_change_it() -> None:
    """Hedging has three states in one number: never, by latency, after a time."""
    options = Resilience.of(
        Settings(retry_percent=5.0, breaker=False, ejection_percent=10.0, hedge_after_s=0.0)
    )
    assert options == Resilience(
        retry_percent=5.0, breaker=False, outliers=Outliers(max_percent=10.0), hedge_after_s=0.0
    )
    assert Resilience.of(Settings(hedge_after_s=0.3)).hedge_after_s == 0.3
    assert Resilience.of(Settings(hedge_after_s=-1.0)).hedge_after_s is None
