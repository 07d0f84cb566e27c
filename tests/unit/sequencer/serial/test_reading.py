"""Why a text is no serial."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequencer.sdk.serial import (
    Reset,
    SerialCheckError,
    SerialError,
    SerialFormat,
    SerialTextError,
)

LOAN = SerialFormat.parse("LN{date:%Y%m%d}-{number:04}{check:luhn}", reset=Reset.DAY)
GOOD = LOAN.format(17, date(2026, 11, 26))


@pytest.mark.parametrize(
    ("text", "why", "position"),
    [
        ("", "0 characters, not 16", 0),
        (GOOD[:-1], "15 characters, not 16", 15),
        (GOOD + "0", "17 characters, not 16", 16),
        ("LM" + GOOD[2:], "'M' stands where 'N' belongs", 1),
        ("ln" + GOOD[2:], "'l' stands where 'L' belongs", 0),
        ("LN2O261126-00170", "'O' is no digit in radix 10", 3),
        ("LN20261126-０0170", "'０' is no digit", 11),
        ("LN20261126-+0170", "'\\+' is no digit", 11),
    ],
)
def test_another_shape_is_refused_with_its_place(text: str, why: str, position: int) -> None:
    """Length, literal text and digits: ASCII alone, nothing that int() would forgive."""
    with pytest.raises(SerialTextError, match=why) as caught:
        LOAN.read(text)

    assert caught.value.position == position


def test_a_mistyped_serial_is_refused() -> None:
    """The check characters say so."""
    swapped = GOOD.replace("0017", "0071")

    with pytest.raises(SerialCheckError, match="luhn does not fit"):
        LOAN.read(swapped)


@given(st.integers(0, 9999), st.integers(0, 15), st.sampled_from("0123456789"))
def test_no_single_wrong_digit_passes(number: int, at: int, digit: str) -> None:
    """Anywhere in a serial with a check."""
    text = LOAN.format(number, date(2026, 11, 26))
    if text[at] != digit:
        with pytest.raises(SerialTextError):
            LOAN.read(text[:at] + digit + text[at + 1 :])


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{date:%Y%m%d}{number:02}", "2026022901"),
        ("{date:%Y%m%d}{number:02}", "2026000101"),
        ("{date:%Y%m%d}{number:02}", "2026010001"),
        ("{date:%Y%m%d}{number:02}", "0000010101"),
        ("{date:%Y%j}{number:02}", "202636601"),
        ("{date:%Y%j}{number:02}", "202600001"),
        ("{date:%m%d}{number:02}", "023001"),
        ("{date:%m}{number:02}", "0001"),
        ("{date:%m}{number:02}", "1301"),
        ("{date:%d}{number:02}", "3201"),
        ("{date:%j}{number:02}", "36701"),
        ("{date:%Y%m%d/%j}{number:02}", "20261126/33101"),
        ("{date:%Y%y}{number:02}", "20262701"),
    ],
)
def test_a_date_that_is_none_is_refused(template: str, text: str) -> None:
    """Whole dates and parts of one, also when they contradict each other."""
    with pytest.raises(SerialTextError, match="it tells no date"):
        SerialFormat.parse(template).read(text)


def test_the_last_day_of_a_leap_year_is_one() -> None:
    """The 366th day, and the 29th of February without a year."""
    by_day = SerialFormat.parse("{date:%Y%j}{number:02}").read("202836601")

    assert by_day.date == date(2028, 12, 31)
    assert SerialFormat.parse("{date:%m%d}{number:02}").read("022901").date is None


def test_parts_that_stand_twice_must_agree() -> None:
    """The second one is wrong where it differs."""
    made = SerialFormat.parse("{date:%Y}-{number:02}-{date:%Y}")

    assert made.read("2026-01-2026").number == 1
    with pytest.raises(SerialTextError, match="%Y of the date stands there twice and differs"):
        made.read("2026-01-2027")


@pytest.mark.parametrize(
    ("template", "text", "why"),
    [
        ("{number}", "01", "begins with 0"),
        ("{number}", "9223372036854775808", "above 9223372036854775807"),
        ("{number:020}", "99999999999999999999", "above 9223372036854775807"),
        ("{number}", "1" * 20, "20 characters, not 1 to 19"),
        ("A{number}", "A", "1 characters, not 2 to 20"),
        ("{number:04r16}", "00ff", "'f' is no digit in radix 16"),
        ("{number:04r36}", "00_1", "'_' is no digit in radix 36"),
    ],
)
def test_numbers_that_are_never_written_are_refused(template: str, text: str, why: str) -> None:
    """A serial has one text: no leading zeros of its own, no other case, no id above the last."""
    with pytest.raises(SerialTextError, match=why):
        SerialFormat.parse(template).read(text)


@given(st.text(max_size=20))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    """Never another error, never an endless loop."""
    try:
        found = LOAN.read(text)
    except SerialError:
        return
    assert LOAN.format(found.number, found.date) == text
