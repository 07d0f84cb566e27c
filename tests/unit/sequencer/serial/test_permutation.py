"""The keyed permutation."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequencer.sdk import KeyedPermutation

KEY = bytes(range(32))


@st.composite
def numbers(draw: st.DrawFn) -> tuple[int, int]:
    """A size in bits, and a number that fits."""
    bits = draw(st.integers(2, 63))
    return bits, draw(st.integers(0, 2**bits - 1))


@given(numbers(), st.binary(min_size=16, max_size=64))
def test_decode_undoes_encode(number: tuple[int, int], key: bytes) -> None:
    """For every size and key, both ways round, and never out of the id space."""
    bits, value = number
    permutation = KeyedPermutation(key, bits=bits)

    encoded = permutation.encode(value)

    assert 0 <= encoded < 2**bits
    assert permutation.decode(encoded) == value
    assert permutation.encode(permutation.decode(value)) == value


@pytest.mark.parametrize("bits", [2, 3, 8, 9, 13])
def test_small_spaces_are_permuted_exactly(bits: int) -> None:
    """Every number of the space occurs exactly once, also when the halves do not fit evenly."""
    permutation = KeyedPermutation(KEY, bits=bits)

    encoded = [permutation.encode(number) for number in range(2**bits)]

    assert sorted(encoded) == list(range(2**bits))
    assert encoded != sorted(encoded)


def test_the_mapping_never_changes() -> None:
    """Ids that were given out must decode for ever: this pins the construction."""
    permutation = KeyedPermutation(KEY)

    encoded = [permutation.encode(number) for number in (0, 1, 2**62 - 1)]

    assert encoded == [
        2173492151905746368,
        4433504239147303449,
        1764450388028105856,
    ]


def test_key_and_size_make_the_mapping() -> None:
    """Another key, or the same key for another size, gives other numbers."""
    others = [
        KeyedPermutation(KEY),
        KeyedPermutation(KEY[::-1]),
        KeyedPermutation(KEY, bits=61),
        KeyedPermutation(KEY, bits=63),
    ]

    assert len({tuple(map(other.encode, range(8))) for other in others}) == len(others)


def test_consecutive_ids_show_no_order() -> None:
    """Half of the bits differ between neighbours, and the numbers spread over the space."""
    permutation = KeyedPermutation(KEY, bits=62)
    encoded = [permutation.encode(number) for number in range(2_000)]

    flipped = [(a ^ b).bit_count() for a, b in pairwise(encoded)]
    assert sum(flipped) / len(flipped) == pytest.approx(31, abs=0.5)
    rising = sum(a < b for a, b in pairwise(encoded))
    assert rising / len(flipped) == pytest.approx(0.5, abs=0.05)
    assert sum(number >= 2**61 for number in encoded) / 2_000 == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("number", [-1, 2**10])
def test_numbers_outside_the_space_are_refused(number: int) -> None:
    """Both directions refuse what is not in the space."""
    permutation = KeyedPermutation(KEY, bits=10)

    with pytest.raises(ValueError, match="between 0 and 1023"):
        permutation.encode(number)
    with pytest.raises(ValueError, match="between 0 and 1023"):
        permutation.decode(number)


@pytest.mark.parametrize(
    ("key", "bits"), [(b"short", 62), (b"k" * 65, 62), (KEY, 1), (KEY, 64), (KEY, 0)]
)
def test_weak_keys_and_odd_sizes_are_refused(key: bytes, bits: int) -> None:
    """A key must have 16 to 64 bytes, a space 2 to 63 bits."""
    with pytest.raises(ValueError, match="must"):
        KeyedPermutation(key, bits=bits)


@st.composite
def sized_numbers(draw: st.DrawFn) -> tuple[int, int]:
    """A size, and a number below it."""
    size = draw(st.integers(4, 2**63))
    return size, draw(st.integers(0, size - 1))


@given(sized_numbers(), st.binary(min_size=16, max_size=64), st.binary(max_size=16))
def test_any_size_is_permuted(number: tuple[int, int], key: bytes, tweak: bytes) -> None:
    """For every size, key and tweak, both ways round, and never out of the space."""
    size, value = number
    permutation = KeyedPermutation.of_size(key, size, tweak=tweak)

    encoded = permutation.encode(value)

    assert 0 <= encoded < size
    assert permutation.decode(encoded) == value


@pytest.mark.parametrize("size", [4, 5, 10, 100, 1_000, 36**2, 1_025])
def test_small_sizes_are_permuted_exactly(size: int) -> None:
    """Every number occurs exactly once, also just above a power of four."""
    permutation = KeyedPermutation.of_size(KEY, size)

    assert sorted(map(permutation.encode, range(size))) == list(range(size))


@pytest.mark.parametrize("bits", [2, 9, 62, 63])
def test_a_size_that_is_a_power_of_two_is_that_of_its_bits(bits: int) -> None:
    """Both ways to ask for the same space give the same mapping."""
    sized = KeyedPermutation.of_size(KEY, 2**bits)
    of_bits = KeyedPermutation(KEY, bits=bits)

    assert [*map(sized.encode, range(4))] == [*map(of_bits.encode, range(4))]


def test_the_mapping_of_a_size_never_changes() -> None:
    """Serials that were given out must decode for ever: this pins size and tweak."""
    plain = KeyedPermutation.of_size(KEY, 10**8)
    tweaked = KeyedPermutation.of_size(KEY, 10**8, tweak=b"20261126")

    assert [*map(plain.encode, (0, 1, 10**8 - 1))] == [89341174, 59818390, 91888925]
    assert [*map(tweaked.encode, (0, 1, 10**8 - 1))] == [77806703, 39318190, 43779591]


def test_size_and_tweak_make_the_mapping() -> None:
    """Sizes with the same bits, and tweaks of the same size, share nothing."""
    others = [
        KeyedPermutation.of_size(KEY, 10**8),
        KeyedPermutation.of_size(KEY, 10**8 + 1),
        KeyedPermutation.of_size(KEY, 10**8, tweak=b"1"),
        KeyedPermutation.of_size(KEY, 10**8, tweak=b"2"),
        KeyedPermutation(KEY, bits=27),
    ]

    assert len({tuple(map(other.encode, range(8))) for other in others}) == len(others)


@pytest.mark.parametrize(("size", "tweak"), [(3, b""), (2**63 + 1, b""), (100, b"t" * 17)])
def test_odd_sizes_and_long_tweaks_are_refused(size: int, tweak: bytes) -> None:
    """A size must be 4 to 2**63, a tweak at most 16 bytes."""
    with pytest.raises(ValueError, match="must"):
        KeyedPermutation.of_size(KEY, size, tweak=tweak)
