"""Check characters: Luhn, and three systems of ISO/IEC 7064.

Each is a machine of at most 100 states that goes through a text character by
character; a table says for each character which state follows which. Tables of
consecutive characters compose by `bytes.translate`, so that blocks of digits
cost one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from sequencer.sdk.serial._errors import SerialError
from sequencer.sdk.serial._radix import DIGITS, blocks

_UNCHANGED: Final = bytes(range(256))
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_ALPHANUMERIC: Final = DIGITS[:36]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSystem:
    """A way to make check characters.

    Attributes:
        name: in templates.
        start: the state before the first character.
        steps: for each character that counts, the state that follows each state.
        ends: the check characters for each state after the last character.
        radices: of numbers in which no single mistyped digit goes unseen.
    """

    name: str
    start: int
    steps: Mapping[str, bytes]
    ends: tuple[str, ...]
    radices: tuple[int, ...] = (10,)

    @property
    def width(self) -> int:
        """How many check characters there are."""
        return len(self.ends[self.start])

    def accepts(self, character: str) -> bool:
        """Whether a character may stand before the check characters: it counts or is no letter."""
        return character in self.steps or not character.isalnum()

    def after(self, text: str, state: int) -> int:
        """The state after a text; whatever is neither letter nor digit is passed over."""
        for character in text:
            state = self.steps.get(character, _UNCHANGED)[state]
        return state

    def table(self, text: str) -> bytes:
        """The state that follows each state when a text of characters that count comes in."""
        table = _UNCHANGED[: len(self.ends)]
        for character in text:
            table = table.translate(self.steps[character])
        return table


def check_characters(system: str, text: str) -> str:
    """The check characters of a text.

    Digits count, and capital letters where the system has a rule for them;
    spaces, hyphens and all else that is neither letter nor digit is passed over.

    Args:
        system: "luhn" (ISO/IEC 7812; letters count as in ISO 6166: A is 10, Z is
            35, digit by digit), "mod97-10" (ISO/IEC 7064; letters as in ISO
            13616, the same), "mod11-2" (ISO/IEC 7064; no letters) or "mod37-36"
            (ISO/IEC 7064 MOD 37,36; letters count as such).
        text: what is to be checked.

    Raises:
        SerialError: there is no such system, or a letter that it has no rule for.
    """
    found = check_system(system)
    for character in text:
        if not found.accepts(character):
            raise SerialError(f"{system} has no rule for {character!r}")
    return found.ends[found.after(text, found.start)]


def check_system(name: str) -> CheckSystem:
    """The system of that name.

    Raises:
        SerialError: there is none.
    """
    if name not in _SYSTEMS:
        raise SerialError(f"there is no check {name!r}; there are {', '.join(_SYSTEMS)}")
    return _SYSTEMS[name]()


@cache
def block_tables(name: str, radix: int, size: int) -> tuple[bytes, ...]:
    """For each block of `size` digits, the state that follows each state of a system."""
    system = check_system(name)
    return tuple(map(system.table, blocks(radix, size)))


@cache
def _luhn() -> CheckSystem:
    """ISO/IEC 7812-1 annex B. A state is the two sums: last digit as it is, and doubled."""

    def step(state: int, digit: int) -> int:
        plain, doubled = divmod(state, 10)
        return (doubled + digit) % 10 * 10 + (plain + _DOUBLED[digit]) % 10

    ends = tuple(str(-state % 10) for state in range(100))
    return CheckSystem(name="luhn", start=0, steps=_with_letters(step, 100), ends=ends)


@cache
def _mod97_10() -> CheckSystem:
    """ISO/IEC 7064 MOD 97-10. A state is the remainder of the number so far."""
    ends = tuple(f"{98 - state * 100 % 97:02}" for state in range(97))
    steps = _with_letters(lambda state, digit: (state * 10 + digit) % 97, 97)
    return CheckSystem(name="mod97-10", start=0, steps=steps, ends=ends)


@cache
def _mod11_2() -> CheckSystem:
    """ISO/IEC 7064 MOD 11-2. A state is the product of its recursive procedure."""
    ends = tuple("0123456789X"[(1 - state) % 11] for state in range(11))
    steps = _steps(DIGITS[:10], lambda state, digit: (state + digit) * 2 % 11, 11)
    return CheckSystem(name="mod11-2", start=0, steps=steps, ends=ends)


@cache
def _mod37_36() -> CheckSystem:
    """ISO/IEC 7064 MOD 37,36. A state is the product of its recursive procedure, 1 to 36."""
    ends = tuple(_ALPHANUMERIC[(1 - state) % 36] for state in range(37))
    steps = _steps(_ALPHANUMERIC, lambda state, digit: ((state + digit) % 36 or 36) * 2 % 37, 37)
    return CheckSystem(name="mod37-36", start=36, steps=steps, ends=ends, radices=(10, 16, 36))


def _steps(alphabet: str, step: Callable[[int, int], int], states: int) -> dict[str, bytes]:
    rest = bytes(256 - states)
    return {
        character: bytes(step(state, at) for state in range(states)) + rest
        for at, character in enumerate(alphabet)
    }


def _with_letters(step: Callable[[int, int], int], states: int) -> dict[str, bytes]:
    """Steps for digits, and for letters as the two digits of 10 to 35."""
    steps = _steps(DIGITS[:10], step, states)
    for at, letter in enumerate(_ALPHANUMERIC[10:], start=10):
        steps[letter] = steps[str(at // 10)].translate(steps[str(at % 10)])
    return steps


_SYSTEMS: Final = {
    "luhn": _luhn,
    "mod97-10": _mod97_10,
    "mod11-2": _mod11_2,
    "mod37-36": _mod37_36,
}
