"""Serials written and read again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequencer.sdk.serial import (
    Reset,
    Serial,
    SerialDateError,
    SerialFormat,
    SerialKeyError,
    SerialOverflow,
    SerialTextError,
    check_characters,
    period,
)
from sequencer.sdk.serial._format import MAX_DAYS
from sequencer.sdk.serial._radix import DIGITS

DAY = date(2026, 11, 26)
KEY = bytes(range(32))
DATES = st.dates(date(2000, 1, 1), date(2099, 12, 31))
DATED = {
    Reset.NONE: ["", "{date:%m%d}", "{date:%Y%m%d}"],
    Reset.YEAR: ["{date:%y}", "{date:%Y%m}"],
    Reset.MONTH: ["{date:%m/%Y}", "{date:%y%m}"],
    Reset.DAY: ["{date:%Y-%m-%d}", "{date:%y%j}"],
}
CHECKS = {10: ["", "luhn", "mod97-10", "mod37-36"], 16: ["", "mod37-36"], 36: ["", "mod37-36"]}


@st.composite
def formats(draw: st.DrawFn) -> SerialFormat:
    """Any format: fields in either order, with and without width, check, reset and key."""
    reset = draw(st.sampled_from(Reset))
    radix = draw(st.sampled_from([10, 16, 36, 62]))
    width = draw(st.integers(0, 20))
    key = draw(st.none() | st.binary(min_size=16, max_size=64))
    if not 10**6 <= radix**width <= 2**63:
        key = None
    number = f"{{{'hidden' if key else 'number'}:{f'0{width}' if width else ''}r{radix}}}"
    fields = draw(st.permutations([number, draw(st.sampled_from(DATED[reset])), "LN", "-7{{"]))
    check = draw(st.sampled_from(CHECKS.get(radix, [""])))
    end = f"{{check:{check}}}" if check else ""
    return SerialFormat.parse("".join([*fields, end, "."]), reset=reset, key=key)


def digits(number: int, radix: int) -> str:
    """A number in a radix, the slow way."""
    return (digits(number // radix, radix) if number >= radix else "") + DIGITS[number % radix]


@given(formats(), DATES, st.data())
def test_what_was_written_is_read(made: SerialFormat, day: date, data: st.DataObject) -> None:
    """Number and period come back for every format, date and number that fits."""
    number = data.draw(st.integers(0, made.size - 1))

    text = made.format(number, day)
    found = made.read(text)

    assert (found.text, found.number, found.period) == (text, number, period(made.reset, day))
    assert found.date in {None, day}
    if made.reset is Reset.DAY:
        assert found.date == day


@given(
    st.sampled_from([10, 16, 36]), st.integers(1, 18), st.sampled_from(["", "7-", "-A"]), st.data()
)
def test_the_compiled_function_writes_what_a_plain_one_does(
    radix: int, width: int, between: str, data: st.DataObject
) -> None:
    """Number, its padding and its check, for every radix and width."""
    made = SerialFormat.parse(
        f"LN{{date:%Y}}{{number:0{width}r{radix}}}{between}{{check:mod37-36}}#"
    )
    number = data.draw(st.integers(0, made.size - 1))
    checked = f"LN2026{digits(number, radix).rjust(width, '0')}{between}"

    assert made.format(number, DAY) == f"{checked}{check_characters('mod37-36', checked)}#"


@pytest.mark.parametrize("template", ["{number:03}", "{number:03}{check:luhn}", "{number:03r36}"])
def test_a_number_that_does_not_fit_is_refused(template: str) -> None:
    """Neither truncated nor written wider, and none below 0."""
    made = SerialFormat.parse(template)

    assert made.read(made.format(made.size - 1)).number == made.size - 1
    for number in (made.size, -1):
        with pytest.raises(SerialOverflow, match=f"{number} does not fit: numbers are 0 to"):
            made.format(number)


def test_a_number_without_width_ends_where_ids_do() -> None:
    """At 2⁶³ - 1, whatever the radix; a wide field has no more either."""
    for template in ("{number}", "{number:r62}", "{number:032}"):
        made = SerialFormat.parse(template)
        assert made.read(made.format(2**63 - 1)).number == 2**63 - 1
        with pytest.raises(SerialOverflow):
            made.format(2**63)


def test_without_a_date_it_is_that_of_the_zone() -> None:
    """The same moment is two business dates, and the format's zone says which."""
    moment = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)

    written = {
        zone: SerialFormat.parse("{date:%m%d}{number:02}", zone=zone, now=lambda: moment).format(7)
        for zone in ("UTC", "Asia/Shanghai", "America/New_York")
    }

    assert written == {"UTC": "112507", "Asia/Shanghai": "112607", "America/New_York": "112507"}


def test_midnight_in_the_zone_is_noticed() -> None:
    """The date is not kept beyond its day, also in the hour that a clock is put back."""
    moments = iter(
        [
            datetime(2026, 10, 25, 21, 59, 59, 999_999, tzinfo=UTC),
            datetime(2026, 10, 25, 23, 0, tzinfo=UTC),
        ]
    )
    made = SerialFormat.parse(
        "{date:%d}{number:02}", zone="Europe/Berlin", now=lambda: next(moments)
    )

    assert [made.format(1), made.format(1)] == ["2501", "2601"]


def test_a_given_date_wins_over_the_clock() -> None:
    """A bank's day is not midnight: whoever closes yesterday's books says so."""
    made = SerialFormat.parse("{date:%Y%m%d}{number:02}", zone="Asia/Shanghai")

    assert made.format(7, date(2020, 2, 29)) == "2020022907"


def test_without_date_and_zone_there_is_no_serial() -> None:
    """Unless the template tells none."""
    with pytest.raises(SerialDateError, match="names no time zone"):
        SerialFormat.parse("{date:%Y}{number:02}").format(1)

    assert SerialFormat.parse("{number:02}").format(1) == "01"
    assert SerialFormat.parse("{number:02}").period() == ""


def test_a_time_is_no_business_date() -> None:
    """It would be taken for a date in a zone that nobody named."""
    made = SerialFormat.parse("{date:%Y}{number:02}")

    with pytest.raises(SerialDateError, match="without a time"):
        made.format(1, datetime(2026, 11, 26, tzinfo=UTC))


def test_two_digits_of_a_year_stand_for_this_century() -> None:
    """So that no serial repeats after a hundred years."""
    made = SerialFormat.parse("{date:%y}{number:02}", reset=Reset.YEAR)

    assert made.read("9901").period == "2099"
    with pytest.raises(SerialDateError, match="2100 needs %Y"):
        made.format(1, date(2100, 1, 1))


def test_many_dates_take_bounded_memory() -> None:
    """Dates come and go, their serials stay right, and few are remembered."""
    made = SerialFormat.parse("{date:%Y%m%d}{number:02}{check:luhn}")
    days = [DAY + timedelta(days=offset) for offset in range(3 * MAX_DAYS)]

    for day in [*days, *days]:
        assert made.read(made.format(42, day)).date == day
        assert len(made._days) <= MAX_DAYS


def test_threads_on_two_days_do_not_mix_them_up() -> None:
    """Two business days run in parallel."""
    made = SerialFormat.parse("{date:%Y%m%d}{number:06}{check:luhn}")

    def work(day: date) -> set[date | None]:
        return {made.read(made.format(number, day)).date for number in range(500)}

    days = [DAY + timedelta(days=offset) for offset in range(MAX_DAYS + 4)]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(work, days)] == [{day} for day in days]


def test_a_key_hides_the_numbers_and_its_holder_reads_them() -> None:
    """Consecutive numbers look unrelated, differ from day to day, and come back."""
    made = SerialFormat.parse("{date:%Y%m%d}{hidden:08}{check:luhn}", reset=Reset.DAY, key=KEY)
    tomorrow = DAY + timedelta(days=1)

    today = [made.format(number, DAY) for number in range(50)]

    assert [made.read(text).number for text in today] == [*range(50)]
    assert [text[8:16] for text in today] != sorted(text[8:16] for text in today)
    assert {text[8:] for text in today}.isdisjoint(
        {made.format(number, tomorrow)[8:] for number in range(50)}
    )


def test_another_key_reads_another_number() -> None:
    """A key is no access control: the serial is well-formed, its number is not told."""
    made, other = (SerialFormat.parse("{hidden:08}", key=key) for key in (KEY, KEY[::-1]))

    assert made.read(made.format(7)).number == 7
    assert other.read(made.format(7)).number != 7


def test_without_the_key_a_hidden_number_is_neither_written_nor_read() -> None:
    """Plain numbers among hidden ones would make serials twice; a wrong text is still told."""
    made = SerialFormat.parse("{hidden:08}{check:luhn}")
    text = SerialFormat.parse("{hidden:08}{check:luhn}", key=KEY).format(7)

    with pytest.raises(SerialKeyError, match="a key is needed"):
        made.format(7)
    with pytest.raises(SerialKeyError, match="a key is needed"):
        made.read(text)
    with pytest.raises(SerialTextError):
        made.read(text[::-1] + "0")


def test_reading_tells_all_that_the_text_does() -> None:
    """The whole answer, as its users see it."""
    made = SerialFormat.parse("LN{date:%Y%m%d}{number:08}{check:luhn}", reset=Reset.MONTH)

    assert made.read("LN20261126000000177") == Serial(
        text="LN20261126000000177", number=17, date=DAY, period="202611"
    )


@given(formats(), DATES, st.data())
def test_no_text_is_read_that_would_be_written_otherwise(
    made: SerialFormat, day: date, data: st.DataObject
) -> None:
    """One character changed: refused, or it is exactly another serial."""
    text = made.format(data.draw(st.integers(0, made.size - 1)), day)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(DIGITS + "-{. ,"))
    changed = text[:at] + other + text[at + 1 :]

    try:
        found = made.read(changed)
    except SerialTextError:
        return
    assert found.date is None or made.format(found.number, found.date) == changed
