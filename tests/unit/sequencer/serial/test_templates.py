"""Which templates are accepted, and why others are not."""

from __future__ import annotations

from datetime import date

import pytest

from sequencer.sdk.serial import Reset, SerialError, SerialFormat, SerialTemplateError
from sequencer.sdk.serial._template import MAX_TEMPLATE

DAY = date(2026, 11, 26)
KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("LN{date:%Y%m%d}{number:08}{check:luhn}", "LN20261126000012347"),
        ("{number}", "1234"),
        ("{number:08}", "00001234"),
        ("{number:06r16}", "0004D2"),
        ("{number:06r36}", "0000YA"),
        ("{number:06r62}", "0000Ju"),
        ("{number:r62}", "Ju"),
        ("{number:r36}-{check:mod37-36}", "YA-R"),
        ("{date:%y%j}/{number:04}", "26330/1234"),
        ("{date:%Y}年{date:%m-%d} {number:04}号", "2026年11-26 1234号"),
        ("{{{number:04}}}", "{1234}"),
        ("{number:04}{date:%Y}{check:mod97-10}.", "1234202684."),
        ("{number:04}{check:mod11-2}", "12344"),
    ],
)
def test_templates_write_what_they_say(template: str, expected: str) -> None:
    """Examples of all fields, also of those in the how-to page."""
    assert SerialFormat.parse(template).format(1234, DAY) == expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "one number, not 0"),
        ("LN{date:%Y}", "one number, not 0"),
        ("{number}{number}", "one number, not 2"),
        ("{number:04}-{number:04}", "one number, not 2"),
        ("{number:8}", "'08' is 8 digits"),
        ("{number:033}", "at most 32"),
        ("{number:00}", "not understood"),
        ("{number:08r2}", "of 10, 16, 36 and 62"),
        ("{number:{number}}", "not understood"),
        ("{number!r}", "has no meaning"),
        ("{number", "braces"),
        ("number}", "braces"),
        ("{}", "no field ''"),
        ("{number.real}", "no field"),
        ("{customer:08}", "no field 'customer'"),
        ("{date}{number:04}", "says what of it"),
        ("{date:Y}{number:04}", "says what of it"),
        ("{date:%H}{number:04}", "%H is not understood: %Y, %y, %m, %d, %j are"),
        ("{date:%Y%}{number:04}", "% is not understood"),
        ("{number:04}{check:crc}", "no check 'crc'"),
        ("{number:04}{check}", "no check ''"),
        ("{check:luhn}{number:04}", "behind the number"),
        ("{number:04}{check:luhn}{date:%Y}", "behind the number and all of the date"),
        ("{number:04}{check:luhn}{check:luhn}", "one check"),
        ("ln{number:04}{check:luhn}", "no rule for a letter in 'ln'"),
        ("LN{number:04}{check:mod11-2}", "no rule for a letter in 'LN'"),
        ("贷{number:04}{check:mod37-36}", "no rule for a letter"),
        ("{number:04r36}{check:luhn}", "does not protect numbers in radix 36"),
        ("{number:04r16}{check:mod97-10}", "does not protect numbers in radix 16"),
        ("{number:04r62}{check:mod37-36}", "does not protect numbers in radix 62"),
        ("A\n{number:04}", "cannot be printed"),
        ("A" * MAX_TEMPLATE + "{number}", "more than 200 characters"),
    ],
)
def test_templates_that_cannot_work_are_refused(template: str, why: str) -> None:
    """The error says what is wrong; two numbers would be ambiguous to read, as much as none."""
    with pytest.raises(SerialTemplateError, match=why):
        SerialFormat.parse(template)


@pytest.mark.parametrize(
    ("reset", "dated"),
    [
        (Reset.NONE, ""),
        (Reset.YEAR, "%y"),
        (Reset.YEAR, "%Y"),
        (Reset.MONTH, "%Y%m"),
        (Reset.MONTH, "%y%j"),
        (Reset.DAY, "%Y%j"),
        (Reset.DAY, "%d.%m.%y"),
    ],
)
def test_numbers_may_begin_anew_where_the_date_tells_it(reset: Reset, dated: str) -> None:
    """The date in the serial names the period that its number is from."""
    template = f"{{date:{dated}}}{{number:04}}" if dated else "{number:04}"

    assert SerialFormat.parse(template, reset=reset).reset is reset


@pytest.mark.parametrize(
    ("reset", "dated"),
    [
        (Reset.YEAR, "%m%d"),
        (Reset.MONTH, "%Y"),
        (Reset.MONTH, "%m"),
        (Reset.MONTH, "%Y%d"),
        (Reset.DAY, "%Y%m"),
        (Reset.DAY, "%Y%d"),
        (Reset.DAY, "%m%d"),
        (Reset.DAY, "%j"),
    ],
)
def test_serials_that_would_repeat_are_refused(reset: Reset, dated: str) -> None:
    """Numbers that begin anew more often than the date changes make the same serial twice."""
    with pytest.raises(SerialTemplateError, match="serials would repeat"):
        SerialFormat.parse(f"{{date:{dated}}}{{number:04}}", reset=reset)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Asia", "../etc/passwd", "Asia/Shanghai "])
def test_a_zone_that_is_not_there_is_refused(zone: str) -> None:
    """When the format is made, not when the first serial is wanted."""
    with pytest.raises(SerialTemplateError, match="no time zone"):
        SerialFormat.parse("{number}", zone=zone)


@pytest.mark.parametrize(
    ("template", "key", "why"),
    [
        ("{hidden}", None, "needs a width"),
        ("{hidden:05}", None, "needs 1000000 to"),
        ("{hidden:019}", None, "2\\*\\*63"),
        ("{hidden:08}{number:08}", None, "one number, not 2"),
        ("{hidden:08}", b"short", "16 to 64 bytes"),
        ("{number:08}", KEY, "the template has none"),
    ],
)
def test_what_would_not_hide_is_refused(template: str, key: bytes | None, why: str) -> None:
    """A hidden number needs a stated width with a million numbers or more, a key 16 bytes."""
    with pytest.raises(SerialTemplateError, match=why):
        SerialFormat.parse(template, key=key)


def test_all_errors_are_value_errors_of_one_root() -> None:
    """One except clause holds them all."""
    assert issubclass(SerialTemplateError, SerialError)
    assert issubclass(SerialError, ValueError)


def test_a_format_says_what_it_is_and_keeps_its_key_to_itself() -> None:
    """The repr goes into logs."""
    plain = SerialFormat.parse("{number:08}")
    hidden = SerialFormat.parse(
        "{date:%Y}{hidden:08}", zone="Asia/Shanghai", reset=Reset.YEAR, key=KEY
    )

    assert repr(plain) == "<SerialFormat '{number:08}'>"
    assert repr(hidden) == (
        "<SerialFormat '{date:%Y}{hidden:08}', zone='Asia/Shanghai', reset=YEAR>"
    )
    assert (hidden.zone, hidden.is_hidden, hidden.size) == ("Asia/Shanghai", True, 10**8)
