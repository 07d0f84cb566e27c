from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from bank import Customers, Plan, Rows, parse_scale
from bank.customers import SCHEMA, tiers

PLAN = Plan(scale=parse_scale("S"), seed=20260101)
CUSTOMERS = Customers(PLAN)
WHOLE = CUSTOMERS.block(Rows(1, PLAN.customers))
COLUMNS: dict[str, Any] = {name: WHOLE[name].to_numpy() for name in WHOLE.column_names}
CHECK_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def test_blocks_made_alone_are_cut_out_of_the_whole() -> None:
    """Any block, by a maker of its own, in any order, equals that part of the bank."""
    for first, count in ((9_001, 1_000), (1, 1), (4_097, 333), (10_000, 1)):
        block = Customers(PLAN).block(Rows(first, count))
        assert block.equals(WHOLE.slice(first - 1, count).combine_chunks())


def test_another_seed_is_another_bank() -> None:
    """No column of numbers or amounts survives a change of the seed."""
    other = Customers(Plan(scale=PLAN.scale, seed=1)).block(Rows(1, 2_000))
    for name in ("cif", "phone", "id_card", "aum_fen"):
        same = np.count_nonzero(other[name].to_numpy() == COLUMNS[name][:2_000])
        assert same < 20, name


def test_the_schema_is_kept() -> None:
    """Every block has the declared columns in the declared types."""
    assert WHOLE.schema.equals(SCHEMA)
    assert COLUMNS["id"].tolist() == list(range(1, PLAN.customers + 1))


@pytest.mark.parametrize(
    ("column", "pattern"),
    [
        ("cif", r"[0-9]{12}"),
        ("phone", r"1[3-9][0-9]{9}"),
        ("id_card", r"0[0-9]{5}(19|20)[0-9]{9}[0-9X]"),
        ("name", r"[\u4e00-\u9fff〇]{2,9}"),
    ],
)
def test_personal_data_is_valid_in_form(column: str, pattern: str) -> None:
    """Every value has the form that the contract of the Ark asks for."""
    form = re.compile(pattern)
    assert all(form.fullmatch(value) for value in COLUMNS[column])


@pytest.mark.parametrize("column", ["cif", "phone", "id_card"])
def test_numbers_are_unique(column: str) -> None:
    """No two customers share a number."""
    assert len(set(COLUMNS[column])) == PLAN.customers


def test_numbers_are_unique_at_the_far_end_of_the_largest_bank() -> None:
    """Blocks of a bank of fifty million share no number with one another."""
    customers = Customers(Plan(scale=parse_scale("50000000"), seed=5))
    blocks = [customers.block(Rows(first, 20_000)) for first in (1, 10_000_001, 49_980_001)]
    for column in ("cif", "phone", "id_card"):
        values = [value for block in blocks for value in block[column].to_pylist()]
        assert len(set(values)) == 60_000


def test_identity_numbers_carry_the_right_check_character() -> None:
    """The last character is the one that GB 11643 prescribes for the other 17."""
    for number in COLUMNS["id_card"][:2_000]:
        total = sum(int(c) * w for c, w in zip(number, CHECK_WEIGHTS, strict=False))
        assert number[-1] == "10X98765432"[total % 11]


def test_identity_numbers_carry_the_birth_date_and_it_the_age() -> None:
    """Number, birth date and age tell the same story."""
    as_of = PLAN.config.as_of
    columns = (COLUMNS["id_card"], COLUMNS["birth_date"].tolist(), COLUMNS["age"].tolist())
    for number, birth, age in zip(*columns, strict=True):
        assert number[6:14] == f"{birth:%Y%m%d}"
        had_birthday = (as_of.month, as_of.day) >= (birth.month, birth.day)
        assert age == as_of.year - birth.year - (not had_birthday)
        assert PLAN.config.youngest <= age <= PLAN.config.oldest


def test_wealth_rises_with_age() -> None:
    """Those in their fifties have more than those in their twenties."""
    aum, age = COLUMNS["aum_fen"], COLUMNS["age"]
    assert np.median(aum[(age >= 50) & (age < 60)]) > 3 * np.median(aum[age < 30])


def test_tiers_begin_at_their_floors() -> None:
    """A customer with exactly the floor belongs to the tier, one fen less does not."""
    floors = np.array([0, 5, 20, 50, 100, 300, 600]) * 1_000_000
    assert tiers(floors).tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert tiers(floors[1:] - 1).tolist() == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(COLUMNS["tier"], tiers(COLUMNS["aum_fen"]))


def test_risk_grades_have_their_shares() -> None:
    """Two thirds are assessed, C3 most of all, and the unassessed are not rich."""
    grade = COLUMNS["risk_grade"]
    shares = np.bincount(grade, minlength=6) / len(grade)
    assert shares[0] == pytest.approx(0.35, abs=0.02)
    assert shares[1:] / (1 - shares[0]) == pytest.approx([0.12, 0.28, 0.38, 0.17, 0.05], abs=0.02)
    assert COLUMNS["aum_fen"][grade == 0].max() < 50_000 * 100


def test_one_assessment_in_five_has_expired() -> None:
    """Expiries lie within a year of the day of the bank; without grade there is none."""
    expiry = COLUMNS["risk_expiry"]
    as_of = np.datetime64(PLAN.config.as_of, "D")
    assert np.array_equal(np.isnat(expiry), COLUMNS["risk_grade"] == 0)
    days = (expiry[~np.isnat(expiry)] - as_of).astype(int)
    assert (days < 0).mean() == pytest.approx(0.2, abs=0.02)
    assert days.min() >= -365
    assert days.max() <= 364


def test_the_rich_are_friends_on_wecom_more_often() -> None:
    """8 % below 50,000 yuan, 55 % from 500,000."""
    wecom, tier = COLUMNS["has_wecom"], COLUMNS["tier"]
    assert wecom[tier == 1].mean() == pytest.approx(0.08, abs=0.01)
    assert wecom[tier >= 4].mean() == pytest.approx(0.55, abs=0.1)


def test_surnames_are_as_frequent_as_in_the_population() -> None:
    """王 leads, with about one in twelve of those whose surname is listed."""
    first = [name[0] for name in COLUMNS["name"]]
    assert first.count("王") / len(first) == pytest.approx(0.085, abs=0.015)
    assert len(set(COLUMNS["name"])) > 6_000
