"""What must not stand in free text: numbers that name a person."""

from __future__ import annotations

import re
import unicodedata

_GAP = r"[\s().·_\-‐-―−]{0,3}"
"""What people write between the digits of a number."""

_PHONE = rf"(?:(?:00{_GAP})?86{_GAP})?1{_GAP}[3-9](?:{_GAP}[0-9]){{9}}"
_ID_CARD = rf"[0-9](?:{_GAP}[0-9]){{16}}{_GAP}[0-9Xx]"
_PERSONAL = re.compile(rf"(?<![0-9])(?:{_PHONE}|{_ID_CARD})(?![0-9])")


def holds_personal_number(text: str) -> bool:
    """Whether the text holds what looks like a mobile number or an 18-digit identity number.

    Digits in any script or width count, also with spaces, dashes, dots or
    brackets between them. A longer number that merely contains one does not.
    """
    return _PERSONAL.search("".join(map(_plain, unicodedata.normalize("NFKC", text)))) is not None


def _plain(character: str) -> str:
    """Any decimal digit as 0 to 9; nothing for characters that take no room."""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    return "" if unicodedata.category(character) == "Cf" else character
