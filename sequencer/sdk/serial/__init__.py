"""Serial numbers: business numbers that people read, type and check.

    contracts = SerialFormat.parse(
        "LN{date:%Y%m%d}{number:08}{check:luhn}", zone="Asia/Shanghai", reset=Reset.DAY
    )
    text = contracts.format(17, date(2026, 11, 26))   # "LN20261126000000177"
    contracts.read(text).number                       # 17

Pure: the numbers come from elsewhere, as a rule from `Sequencer.serial`. Needs
the standard library alone.
"""

from sequencer.sdk.serial._calendar import Reset, period
from sequencer.sdk.serial._check import check_characters
from sequencer.sdk.serial._errors import (
    SerialCheckError,
    SerialDateError,
    SerialError,
    SerialKeyError,
    SerialOverflow,
    SerialTemplateError,
    SerialTextError,
)
from sequencer.sdk.serial._format import Serial, SerialFormat
from sequencer.sdk.serial.permutation import KeyedPermutation

__all__ = [
    "KeyedPermutation",
    "Reset",
    "Serial",
    "SerialCheckError",
    "SerialDateError",
    "SerialError",
    "SerialFormat",
    "SerialKeyError",
    "SerialOverflow",
    "SerialTemplateError",
    "SerialTextError",
    "check_characters",
    "period",
]
