"""Serial numbers: written, read again and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, Self
from zoneinfo import ZoneInfo

from sequencer.sdk.serial import _calendar
from sequencer.sdk.serial._calendar import Reset
from sequencer.sdk.serial._compiled import Formatter, compiled
from sequencer.sdk.serial._day import Day, day_of
from sequencer.sdk.serial._errors import SerialDateError, SerialKeyError, SerialTemplateError
from sequencer.sdk.serial._reader import read
from sequencer.sdk.serial._template import Template, parse
from sequencer.sdk.serial.permutation import KeyedPermutation

MAX_DAYS: Final = 16
"""Business dates whose text is kept at hand."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serial:
    """A serial that was read.

    Attributes:
        text: as it was read.
        number: of the sequence, decoded where the format has a key.
        date: its business date; None when the text leaves the day open.
        period: of the child sequence that the number is from; "" when numbers
            never begin anew.
    """

    text: str
    number: int
    date: date | None
    period: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dating:
    """Where business dates come from: the zone that has them when nobody says, and the clock."""

    zone: ZoneInfo | None
    reset: Reset
    now: Callable[[], datetime]

    def today(self) -> date:
        """The date of this moment.

        Raises:
            SerialDateError: there is no zone.
        """
        if self.zone is None:
            raise SerialDateError("a business date is needed: the format names no time zone")
        return self.now().astimezone(self.zone).date()


class SerialFormat:
    """How serials of one kind are written, read and checked; made by `parse`.

    `format(number, business_date=None)` writes a serial; without a date it is
    that of this moment in the format's zone. Bind it to a local name in a hot
    loop. It raises SerialOverflow when the number does not fit, SerialDateError
    when there is no date, or one that cannot be written, and SerialKeyError when
    it should hide the number without a key.

    Safe under threads. Two formats with the same arguments write the same.
    """

    __slots__ = ("_dating", "_days", "_key", "_template", "format", "reset", "size", "template")

    def __init__(self, text: str, template: Template, *, dating: Dating, key: bytes | None) -> None:
        self.template = text
        self.reset = dating.reset
        self.size = template.number.size
        self._template = template
        self._dating = dating
        self._key = key
        self._days: dict[date | None, Day] = {}
        self.format: Formatter = compiled(
            template.number, template.check, self._days, self._open_day
        )

    @classmethod
    def parse(
        cls,
        template: str,
        *,
        zone: str = "",
        reset: Reset = Reset.NONE,
        key: bytes | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> Self:
        """The format that a template describes.

        Args:
            template: text with fields in braces ("{{" and "}}" are braces):

                `{number:08}` the number, 8 digits, padded; once. `{number:06r36}` in
                radix 36 (10, 16, 36, 62); `{number}` as wide as it is.
                `{hidden:010}` the same, hidden by the key.
                `{date:%Y%m%d}` parts of the business date: %Y %y %m %d %j.
                `{check:luhn}` check characters over all before it, at most once, behind
                the number and the date: luhn, mod97-10, mod11-2, mod37-36.
            zone: name of the time zone that dates a serial without a business
                date, "Asia/Shanghai"; empty when the date is always given.
            reset: when numbers begin anew. The date in the template must tell it.
            key: 16 to 64 secret random bytes, for this format alone, to be kept as
                long as its serials. Hides numbers by a `KeyedPermutation` over all
                that fit, another one in each period; what that is worth stands
                there. Without it a format with `hidden` only says what it is.
            now: the time, aware of its zone.

        Raises:
            SerialTemplateError: with what to change.
        """
        parsed = parse(template, reset)
        if key is not None:
            _check_key(parsed, key)
        dating = Dating(zone=_zone(zone), reset=reset, now=now)
        return cls(template, parsed, dating=dating, key=key)

    @property
    def zone(self) -> str:
        """Name of the time zone; empty when there is none."""
        return self._dating.zone.key if self._dating.zone else ""

    @property
    def highest(self) -> int:
        """The highest number that can be written."""
        return self._template.number.size - 1

    @property
    def is_hidden(self) -> bool:
        """Whether a key hides the numbers."""
        return self._template.number.is_hidden

    def business_date(self, given: date | None = None) -> date | None:
        """The date of a serial: what is given, or today in the zone; None if it tells none.

        Ask once, then take the number and write the serial with the answer: so
        both are of the same day, whenever midnight comes.

        Raises:
            SerialDateError: there is no date, or one that cannot be written.
        """
        parts = self._template.parts
        if not parts:
            return None
        return _calendar.checked(self._dating.today() if given is None else given, parts)

    def period(self, business_date: date | None = None) -> str:
        """Which child sequence a serial of that date has its number from; "" for the parent."""
        found = self.business_date(business_date)
        return "" if found is None else _calendar.period(self.reset, found)

    def read(self, text: str) -> Serial:
        """Take a serial apart; it must be exactly as `format` writes it.

        Raises:
            SerialTextError: it is no serial of this format, with what and where.
            SerialCheckError: its check characters are wrong.
            SerialKeyError: it is one, but the key to its number is not here.
        """
        found = read(self._template, text)
        period = _calendar.period_of(found.parts, found.date, self.reset)
        number = found.number
        if permutation := self._permutation(period):
            number = permutation.decode(number)
        return Serial(text=text, number=number, date=found.date, period=period)

    def __repr__(self) -> str:
        zone = f", zone={self.zone!r}" if self.zone else ""
        reset = f", reset={self.reset.name}" if self.reset.value else ""
        return f"<SerialFormat {self.template!r}{zone}{reset}>"

    def _open_day(self, given: date | None) -> Day:
        business_date = self.business_date(given)
        if (known := self._days.get(business_date)) is not None:
            return known
        permutation = self._permutation(self.period(business_date))
        encode = permutation.encode if permutation else None
        day = day_of(self._template, business_date, encode)
        if len(self._days) >= MAX_DAYS:
            self._days.clear()
        self._days[business_date] = day
        return day

    def _permutation(self, period: str) -> KeyedPermutation | None:
        if not self.is_hidden:
            return None
        if self._key is None:
            raise SerialKeyError("the format hides its numbers: a key is needed")
        return KeyedPermutation.of_size(self._key, self.size, tweak=period.encode())


def _check_key(template: Template, key: bytes) -> None:
    if not template.number.is_hidden:
        raise SerialTemplateError("a key hides '{hidden:010}'; the template has none")
    try:
        KeyedPermutation.of_size(key, template.number.size)
    except ValueError as error:
        raise SerialTemplateError(f"the key cannot be used: {error}") from error


def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError) as error:
        raise SerialTemplateError(f"there is no time zone {name!r}") from error
