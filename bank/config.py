"""Every parameter of the synthetic bank, in one frozen, versioned place.

A parameter marked [est] is an estimate without a published source: it gives the
data a plausible shape and may be changed freely. The mixture of assets is fitted
to the figures that a large Chinese retail bank published for 2022. Changing any
value changes the data, so `VERSION` goes up with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from bank.errors import BankError
from bank.mixture import Component, LogNormal, Mixture, Pareto

VERSION = 1
"""Version of the parameters and of the layout on disk; readers refuse any other."""

TIERS = ("AUM0", "AUM5", "AUM20", "AUM50", "AUM100", "AUM300", "AUM600")
"""Names of the tiers; the number is the lower bound in units of 10,000 yuan."""

TIER_FLOORS_YUAN = (0, 50_000, 200_000, 500_000, 1_000_000, 3_000_000, 6_000_000)
"""Lower bounds of the tiers. A tier is stored as its place in `TIERS`, from 1."""

NEVER_ASSESSED = 0
"""Risk grade of a customer who was never assessed; C1 to C5 are 1 to 5."""

FEWEST_CUSTOMERS = 100
MOST_CUSTOMERS = 50_000_000
"""The identity numbers have room for 90 million; beyond this nothing was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The parameters. Shares are fractions of 1, money is in yuan unless said."""

    version: int = VERSION
    as_of: date = date(2026, 12, 31)
    """The day that ages and expiries are counted from; not a 29 February."""

    aum: tuple[Component, ...] = (
        LogNormal(weight=0.42, median=30, sigma=1.8),  # dormant
        LogNormal(weight=0.5125, median=1_500, sigma=1.6, cut=500_000),
        Pareto(weight=0.045, alpha=1.06, low=120_000, high=500_000),
        Pareto(weight=0.0218, alpha=1.062, low=500_000, high=10_000_000),
        Pareto(weight=0.0007, alpha=1.551, low=10_000_000, high=3_000_000_000),
    )
    """Assets under management, poorest component first."""

    ages: tuple[tuple[float, float, float], ...] = ((0.55, 34, 8), (0.30, 52, 9), (0.15, 68, 7))
    """Weight, mean and deviation of the normals that ages are mixed of [est]."""
    youngest: int = 18
    oldest: int = 85
    wealth_per_decade: float = 0.35
    """Deviations by which the rank of wealth rises with each decade of age [est]."""
    wealth_peak_age: int = 60
    """Age from which it rises no more [est]."""

    outlet_exponent: float = 0.8
    """Zipf exponent of the outlets' sizes [est]."""
    home_city_share: float = 0.70
    """Share of the outlets that lie in the home city [est]."""

    customers_per_manager: int = 2_000
    """M has 500 relationship managers, L has 6,000 [est]."""
    customers_per_agent: int = 25_000
    """M has 40 direct-operations agents, L has 480 [est]."""
    managers_per_branch: float = 8.3
    """M has 60 branches; L would have 723 and is held to `most_branches` [est]."""
    fewest_managers: int = 8
    fewest_agents: int = 2
    fewest_branches: int = 4
    most_branches: int = 290
    smallest_book: int = 170
    largest_book: int = 600
    book_skew: int = 4
    """Expected books go from smallest to largest as the power `book_skew` of a
    uniform variable, so their mean is 256 [est]."""
    most_managed_share: float = 0.5
    """A tiny bank gives its managers smaller books before it gives them everybody."""

    risk_shares: tuple[float, ...] = (0.12, 0.28, 0.38, 0.17, 0.05)
    """C1 to C5 among those assessed [est]."""
    never_assessed_share: float = 0.35
    """Share of all customers [est]."""
    never_assessed_below_rank: float = 0.70
    """They are found among the poorest 70 % only [est]."""
    risk_expired_share: float = 0.20
    """Share of the assessments that ran out, within the past 365 days [est]."""

    wecom_shares: tuple[float, ...] = (0.08, 0.20, 0.38, 0.55, 0.55, 0.55, 0.55)
    """Probability of being a friend on WeCom, by tier. The first and, from 500,000
    yuan, the last are given; those between are interpolated [est]."""

    one_character_share: float = 0.15
    """Share of given names of one character [est]."""

    canary_every: int = 1_000
    """One customer in so many is a canary…"""
    fewest_canaries: int = 20
    """…but never fewer than this."""

    def mixture(self, scale: Scale) -> Mixture:
        """The assets of a bank of this scale."""
        return Mixture(components=self.aum, factor=scale.aum_factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large the bank is.

    `aum_factor` multiplies everybody's assets: a city bank with twelve million
    customers holds 20 % less for each than the published figures.
    """

    name: str
    customers: int
    aum_factor: float = 1.0


SCALES = {
    "S": Scale(name="S", customers=10_000),
    "M": Scale(name="M", customers=1_000_000),
    "L": Scale(name="L", customers=12_000_000, aum_factor=0.8),
}


def parse_scale(text: str) -> Scale:
    """The scale called S, M or L, or of as many customers as the number says.

    Raises:
        BankError: neither a name nor a number within the bounds.
    """
    known = SCALES.get(text.upper())
    if known:
        return known
    try:
        customers = int(text)
    except ValueError:
        raise BankError(f"scale {text!r}: use S, M, L or a number of customers") from None
    if not FEWEST_CUSTOMERS <= customers <= MOST_CUSTOMERS:
        raise BankError(
            f"scale {text!r}: must be between {FEWEST_CUSTOMERS:,} and {MOST_CUSTOMERS:,}"
        )
    return Scale(name=str(customers), customers=customers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to generate: equal plans give equal banks, byte for byte.

    `shard_rows` is how many customers go into one file; it changes no value.
    """

    scale: Scale
    seed: int
    config: Config = field(default_factory=Config)
    shard_rows: int = 100_000

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise BankError(f"seed {self.seed}: must be between 0 and 2^63 - 1")
        if self.shard_rows < 1:
            raise BankError(f"shard_rows {self.shard_rows}: must be at least 1")

    @property
    def customers(self) -> int:
        """Number of customers; their ids are 1 to this number."""
        return self.scale.customers

    @property
    def mixture(self) -> Mixture:
        """The assets of this bank."""
        return self.config.mixture(self.scale)
