"""What may not be said to a customer. Pure rules.

After the sales rules for wealth products: no promise of principal or return.
Spacing, width, case and punctuation do not hide a word; a denial ("非保本") is
no promise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mesh.privacy import holds_personal_number

PROMISES: Final = (
    "保本",
    "保息",
    "保收益",
    "稳赚",
    "只赚不赔",
    "包赚",
    "无风险",
    "零风险",
    "没有风险",
    "承诺收益",
    "保证收益",
    "收益保证",
    "刚性兑付",
    "guaranteed",
    "guaranteereturn",
    "riskfree",
    "norisk",
    "cannotlose",
)
"""Words as they are compared: small letters and digits without anything between."""

DENIALS: Final = ("非", "不", "不承诺", "不保证", "不保本", "非保本", "不承诺保本", "not", "never")
"""What may stand before a promise and makes it none."""

PERSONAL_DIGITS: Final = 11
"""Digits of the shortest personal number."""

_PROMISE: Final = re.compile(
    "".join(f"(?<!{denial})" for denial in DENIALS) + f"(?:{'|'.join(PROMISES)})"
)
_BETWEEN: Final = re.compile(r"[\W_]+")
_DIGIT: Final = re.compile(r"\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A word that may not stand where it does. `place` counts characters from 1."""

    word: str
    place: int


def is_clean(text: str) -> bool:
    """Whether nothing stands against the text; fast, since it is asked for every contact."""
    plain = unicodedata.normalize("NFKC", text)
    if _PROMISE.search(_BETWEEN.sub("", plain.casefold())):
        return False
    return len(_DIGIT.findall(plain)) < PERSONAL_DIGITS or not holds_personal_number(plain)


def promises(text: str) -> Iterator[Finding]:
    """The promises in a text, each with its place."""
    letters = [
        (letter, place)
        for place, character in enumerate(text, start=1)
        for letter in _BETWEEN.sub("", unicodedata.normalize("NFKC", character).casefold())
    ]
    compact = "".join(letter for letter, _ in letters)
    for match in _PROMISE.finditer(compact):
        yield Finding(word=match[0], place=letters[match.start()][1])
