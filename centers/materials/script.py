"""Scripts: words with slots, and how they are filled. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from centers.materials import wording
from centers.materials.errors import MaterialReason
from mesh.errors import MeshError, Violation
from mesh.privacy import holds_personal_number

SLOTS: Final = frozenset(
    {"greeting", "product_name", "branch_name", "activity_name", "date", "term"}
)
"""Slots that a script may have. None is for a name, a number or an amount of a customer."""

MAX_VALUE: Final = 200
"""Characters of a value."""

_SLOT: Final = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
_SPACES: Final = str.maketrans("", "", "\n\u00a0\u3000")
"""Spaces that a text may have beside the plain one."""


def flaws(text: str, slots: Sequence[str]) -> Iterator[Violation]:
    """What is wrong with a script as it is written: text, braces, slots."""
    if not text.strip():
        yield Violation("material.text", "must hold the words of the script")
    if not text.translate(_SPACES).isprintable():
        yield Violation("material.text", "must not hold control characters")
    if set("{}") & set(_SLOT.sub("", text)):
        yield Violation("material.text", "must hold braces around the names of slots alone")
    used = set(_SLOT.findall(text))
    for name in sorted(used - set(slots)):
        yield Violation("material.text", f"uses the slot {name}, which is not declared")
    for index, name in enumerate(slots):
        if name not in SLOTS:
            allowed = ", ".join(sorted(SLOTS))
            yield Violation(f"material.slots[{index}]", f"must be one of {allowed}")
        elif name not in used:
            yield Violation(f"material.slots[{index}]", "does not stand in the text")


def unsayable(field: str, text: str) -> Iterator[Violation]:
    """What a text of a material may not say."""
    for found in wording.promises(text):
        yield Violation(field, f"'{found.word}' at character {found.place} may not be said")
    if holds_personal_number(text):
        yield Violation(field, "holds a number that may name a person")


def filled(text: str, slots: Sequence[str], values: Mapping[str, str]) -> str:
    """The text with its slots filled; an approved text and these values, nothing else.

    What may not be said is looked for in the whole: it could arise where a value
    meets the text.

    Raises:
        MeshError: SLOTS_INVALID; the violations name the slots.
    """
    found = [*_unmatched(slots, values), *_unfit(slots, values)]
    if not found:
        said = _SLOT.sub(lambda match: values[match[1]], text)
        if wording.is_clean(said):
            return said
        found = [Violation("slots", "make the text say what may not be said to a customer")]
    raise MeshError(MaterialReason.SLOTS_INVALID, violations=found)


def _unmatched(slots: Sequence[str], values: Mapping[str, str]) -> Iterator[Violation]:
    for name in slots:
        if name not in values:
            yield Violation(f"slots.{name}", "must be given")
    for name in values:
        if name not in slots:
            yield Violation("slots", "hold a name that the script does not have")


def _unfit(slots: Sequence[str], values: Mapping[str, str]) -> Iterator[Violation]:
    for name in slots:
        value = values.get(name, "-")
        if not value.strip() or len(value) > MAX_VALUE:
            yield Violation(f"slots.{name}", f"must have 1 to {MAX_VALUE} characters")
        elif "{" in value or "}" in value or not value.isprintable():
            yield Violation(f"slots.{name}", "must not hold braces or control characters")
