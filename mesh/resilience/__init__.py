"""What keeps calls going when processes fail: breaker, ejection, retries, hedging.

Each part decides by plain numbers and an injected clock; the channel acts on it.
"""

from mesh.resilience.budget import Budget
from mesh.resilience.counts import Counts
from mesh.resilience.ejection import Ejector, Outliers
from mesh.resilience.health import Breaker, Health
from mesh.resilience.hedging import Latencies
from mesh.resilience.levels import is_read, is_repeatable
from mesh.resilience.options import Resilience
from mesh.resilience.outcome import FAILURES, FAIR_S, Failure, is_unsent
from mesh.resilience.retries import Retries, may_try_again

__all__ = [
    "FAILURES",
    "FAIR_S",
    "Breaker",
    "Budget",
    "Counts",
    "Ejector",
    "Failure",
    "Health",
    "Latencies",
    "Outliers",
    "Resilience",
    "Retries",
    "is_read",
    "is_repeatable",
    "is_unsent",
    "may_try_again",
]
