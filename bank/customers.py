"""The customers, a block at a time.

A block depends on the plan and its ids alone: any block can be made again by
itself and comes out the same, bit for bit.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bank.age import Ages
from bank.canary import Canaries
from bank.config import NEVER_ASSESSED, TIER_FLOORS_YUAN, Plan
from bank.identity import Dates, Flags, Numbers
from bank.names import Names, canary_names
from bank.organization import Organization
from bank.stream import Choice, Integers, Rows, Streams

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("cif", pa.string()),
        ("name", pa.string()),
        ("phone", pa.string()),
        ("id_card", pa.string()),
        ("birth_date", pa.date32()),
        ("age", pa.int8()),
        ("aum_fen", pa.int64()),
        ("tier", pa.int8()),
        ("risk_grade", pa.int8()),
        ("risk_expiry", pa.date32()),
        ("owner_id", pa.int64()),
        ("branch_id", pa.int32()),
        ("home_branch_id", pa.int32()),
        ("has_wecom", pa.bool_()),
        ("is_canary", pa.bool_()),
    ]
)
"""Columns of a customer. `risk_expiry` is null when never assessed; `branch_id`
is the owner's and 0 when an agent owns the customer."""

_TIER_FLOORS_FEN = np.array(TIER_FLOORS_YUAN, dtype=np.int64) * 100
_DAYS = 365


class Customers:
    """Makes the customers of one bank."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._streams = Streams(plan.seed)
        self._ages = Ages(plan.config)
        self._mixture = plan.mixture
        self._numbers = Numbers(self._streams)
        self._grade = Choice(plan.config.risk_shares)
        assessed_from = self._mixture.quantile(plan.config.never_assessed_below_rank)
        self._assessed_from_fen = round(assessed_from * 100)
        self.names = Names(self._streams, plan.config.one_character_share)
        self.organization = Organization(plan, self._streams)
        self.canaries = Canaries(plan, self._streams)

    def block(self, rows: Rows) -> pa.Table:
        """The customers whose ids are `rows`, in the columns of `SCHEMA`."""
        age = self._ages.draw(self._streams.uniforms("customer.age", rows))
        birth = self._birth_dates(age, rows)
        aum_fen = self.aum_fen(rows)
        canary = self.canaries.numbers(rows)
        columns = {"id": rows.ids, "age": age, "birth_date": birth, "aum_fen": aum_fen}
        columns |= self._personal(rows, canary, birth)
        columns |= self._standing(rows, aum_fen)
        columns |= self._ownership(rows, aum_fen)
        columns["is_canary"] = canary > 0
        arrays = [pa.array(columns[field.name]).cast(field.type) for field in SCHEMA]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def aum_fen(self, rows: Rows) -> Integers:
        """Assets under management, in fen, cut off to the whole fen."""
        age = self._ages.draw(self._streams.uniforms("customer.age", rows))
        rank = self._ages.wealth_rank(age, self._streams.uniforms("customer.aum", rows))
        return (self._mixture.sample(rank) * 100).astype(np.int64)

    def _personal(self, rows: Rows, canary: Integers, birth: Dates) -> dict[str, pa.Array]:
        is_canary = canary > 0
        names = self.names.column("customer", rows)
        reserved = canary_names(canary[is_canary])
        return {
            "cif": self._numbers.cif(rows.ids, canary),
            "name": pc.replace_with_mask(names, pa.array(is_canary), reserved),
            "phone": self._numbers.phone(rows.ids, canary),
            "id_card": self._numbers.id_card(rows.ids, canary, birth),
        }

    def _standing(self, rows: Rows, aum_fen: Integers) -> dict[str, pa.Array]:
        tier = tiers(aum_fen)
        chance = np.array(self._plan.config.wecom_shares)[tier - 1]
        grade = self._grade.pick(self._streams.words("customer.risk_grade", rows), 0) + 1
        unassessed = self._unassessed(rows, aum_fen)
        return {
            "tier": tier,
            "risk_grade": np.where(unassessed, NEVER_ASSESSED, grade),
            "risk_expiry": pa.array(self._risk_expiry(rows), mask=unassessed),
            "has_wecom": self._streams.uniforms("customer.wecom", rows) < chance,
        }

    def _ownership(self, rows: Rows, aum_fen: Integers) -> dict[str, Integers]:
        organization = self.organization
        owners = organization.owners(aum_fen, rows)
        return {
            "owner_id": owners,
            "branch_id": organization.headcount.branch_of(owners),
            "home_branch_id": organization.home_branches(owners, rows),
        }

    def _birth_dates(self, age: Integers, rows: Rows) -> Dates:
        """Birthdays within the year that ends on the day the age is counted from."""
        as_of = self._plan.config.as_of
        anchors = np.array(
            [f"{as_of.year - years}-{as_of:%m-%d}" for years in range(self._ages.oldest + 1)],
            dtype="datetime64[D]",
        )
        days = self._streams.below(_DAYS, "customer.birthday", rows)
        birth: Dates = anchors[age] - days.astype("timedelta64[D]")
        return birth

    def _unassessed(self, rows: Rows, aum_fen: Integers) -> Flags:
        config = self._plan.config
        chance = config.never_assessed_share / config.never_assessed_below_rank
        draw = self._streams.uniforms("customer.unassessed", rows)
        return (aum_fen < self._assessed_from_fen) & (draw < chance)

    def _risk_expiry(self, rows: Rows) -> Dates:
        """The past 365 days for the share that ran out, the next 365 for the rest."""
        expired = self._plan.config.risk_expired_share
        draw = self._streams.uniforms("customer.risk_expiry", rows)
        past = -1 - np.floor(draw / expired * _DAYS)
        future = np.floor((draw - expired) / (1 - expired) * _DAYS)
        days = np.where(draw < expired, past, future).astype(np.int64)
        return np.datetime64(self._plan.config.as_of, "D") + days


def tiers(aum_fen: Integers) -> Integers:
    """The tier of each amount: 1 for AUM0 to 7 for AUM600."""
    return np.searchsorted(_TIER_FLOORS_FEN, aum_fen, side="right")
