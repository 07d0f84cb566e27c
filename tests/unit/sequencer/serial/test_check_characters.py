"""Check characters against what their standards publish, and what they promise."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequencer.sdk.serial import SerialError, check_characters
from sequencer.sdk.serial._check import block_tables, check_system
from sequencer.sdk.serial._radix import blocks

DIGITS = "0123456789"
ALPHANUMERIC = DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ALPHABETS = {
    "luhn": DIGITS,
    "mod97-10": DIGITS,
    "mod11-2": DIGITS,
    "mod37-36": ALPHANUMERIC,
}
SYSTEMS = [*ALPHABETS]


@pytest.mark.parametrize(
    ("system", "text", "expected"),
    [
        pytest.param(
            "luhn",
            "7992739871",
            "3",
            id="Luhn of ISO/IEC 7812-1, the example of Wikipedia and many",
        ),
        pytest.param("luhn", "US037833100", "5", id="ISIN of ISO 6166, Apple Inc."),
        pytest.param("luhn", "AU0000XVGZA", "3", id="ISIN of ISO 6166, Treasury Corp. of Victoria"),
        pytest.param("mod97-10", "794", "44", id="ISO/IEC 7064, example of MOD 97-10"),
        pytest.param("mod97-10", "WEST12345698765432GB", "82", id="IBAN registry, GB"),
        pytest.param("mod97-10", "370400440532013000DE", "89", id="IBAN registry, DE"),
        pytest.param("mod97-10", "5493001KJTIIGC8Y1R", "12", id="LEI of ISO 17442"),
        pytest.param("mod11-2", "0794", "0", id="ISO/IEC 7064, example of MOD 11-2"),
        pytest.param("mod11-2", "079", "X", id="ISO/IEC 7064, example of MOD 11-2 with an X"),
        pytest.param("mod11-2", "0000-0002-1825-009", "7", id="ORCID, Josiah Carberry"),
        pytest.param("mod11-2", "0000-0002-1694-233", "X", id="ORCID, the structure page"),
        pytest.param("mod11-2", "0000 0001 2150 090", "X", id="ISNI"),
        pytest.param("mod37-36", "A1-2425G-ABC1234002-", "M", id="GRid standard 2.1"),
        pytest.param("mod37-36", "B159-D8FA-0124-0000-", "K", id="ISAN of ISO 15706"),
        pytest.param("mod37-36", "1881-66C7-3420-0000-", "3", id="ISAN, its user guide"),
    ],
)
def test_published_examples_come_out(system: str, text: str, expected: str) -> None:
    """What standards and registries print as examples."""
    assert check_characters(system, text) == expected


@st.composite
def checked_texts(draw: st.DrawFn, system: str) -> str:
    """A text with its check characters."""
    text = draw(st.text(ALPHABETS[system], min_size=1, max_size=24))
    return text + check_characters(system, text)


def fits(system: str, text: str) -> bool:
    """Whether the last characters of a text check what stands before."""
    width = check_system(system).width
    try:
        return check_characters(system, text[:-width]) == text[-width:]
    except SerialError:
        return False


@pytest.mark.parametrize("system", SYSTEMS)
@given(data=st.data())
def test_every_mistyped_character_is_found(system: str, data: st.DataObject) -> None:
    """Another character in any one place, the check's own included, does not fit."""
    text = data.draw(checked_texts(system))
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABETS[system]).filter(lambda one: one != text[at]))

    assert fits(system, text)
    assert not fits(system, text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize("system", ["luhn", "mod97-10", "mod11-2"])
@given(data=st.data())
def test_neighbours_that_changed_places_are_found(system: str, data: st.DataObject) -> None:
    """Two unlike neighbours; Luhn alone takes 09 for 90."""
    text = data.draw(checked_texts(system))
    at = data.draw(st.integers(0, len(text) - 2))
    left, right = text[at], text[at + 1]

    is_blind = left == right or (system == "luhn" and {left, right} == {"0", "9"})

    assert fits(system, text[:at] + right + left + text[at + 2 :]) is is_blind


def test_mod37_36_takes_one_pair_of_neighbours_for_its_reverse() -> None:
    """After each text, of the 630 pairs of characters just one may change places unseen."""
    for before in ALPHANUMERIC:
        unseen = [
            pair
            for pair in combinations(ALPHANUMERIC, 2)
            if check_characters("mod37-36", before + "".join(pair))
            == check_characters("mod37-36", before + "".join(reversed(pair)))
        ]
        assert len(unseen) == 1


@pytest.mark.parametrize("system", SYSTEMS)
def test_spaces_and_hyphens_do_not_count(system: str) -> None:
    """Neither letter nor digit: passed over, as the standards have it."""
    assert check_characters(system, " 12-3/4.") == check_characters(system, "1234")


@pytest.mark.parametrize(
    ("system", "text"), [("mod11-2", "A1"), ("luhn", "a1"), ("mod37-36", "贷1"), ("mod97-10", "é")]
)
def test_letters_without_a_rule_are_refused(system: str, text: str) -> None:
    """A letter that a system does not know is never just passed over."""
    with pytest.raises(SerialError, match="has no rule for"):
        check_characters(system, text)


def test_an_unknown_system_is_refused_with_those_that_there_are() -> None:
    """The text lists what may be asked for."""
    with pytest.raises(SerialError, match="luhn, mod97-10, mod11-2, mod37-36"):
        check_characters("crc32", "1")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_block_counts_as_its_digits_do(system: str, size: int) -> None:
    """The tables of blocks lead to the same state, from every state that there is."""
    found = check_system(system)
    for block, table in zip(blocks(10, size), block_tables(system, 10, size), strict=True):
        assert [found.after(block, state) for state in range(len(found.ends))] == [*table]
