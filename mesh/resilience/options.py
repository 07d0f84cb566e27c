"""How much resilience a channel has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from mesh.resilience.ejection import Outliers

if TYPE_CHECKING:
    from mesh.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Resilience:
    """What a channel does for calls that fail or are slow.

    Args:
        attempts: tries of a call, the first included; 1: calls are never sent again.
        retry_percent: of the calls that may be sent again, beside a floor of 10 a second;
            0: none, but those that never left this process.
        breaker: whether calls of a method that fails too often are refused.
        outliers: when endpoints are ejected.
        hedge_after_s: seconds after which a read without answer is sent a second time; 0:
            after the time that 95 % of the calls of its method take; None: never.
    """

    attempts: int = 3
    retry_percent: float = 20.0
    breaker: bool = True
    outliers: Outliers = field(default_factory=Outliers)
    hedge_after_s: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings of the platform say."""
        return cls(
            retry_percent=settings.retry_percent,
            breaker=settings.breaker,
            outliers=replace(Outliers(), max_percent=settings.ejection_percent),
            hedge_after_s=settings.hedge_after_s if settings.hedge_after_s >= 0 else None,
        )
