"""Tokens: numbers of a sequence behind a keyed permutation.

Two tokens tell nothing about which customer came first or how many there are;
the holder of the key can turn them back into the sequence's numbers.
"""

from __future__ import annotations

import os
import secrets
from itertools import chain
from pathlib import Path
from typing import Final

from centers.ark.errors import ArkReason
from mesh.errors import MeshError
from sequencer.sdk import KeyedPermutation, Sequence, SequenceEmpty, SequencerUnavailable

KEY_BYTES: Final = 32
TOKEN_BITS: Final = 62


class PermutedTokens:
    """Takes numbers of a sequence and answers the tokens that stand for them."""

    def __init__(self, sequence: Sequence, key: bytes) -> None:
        self._sequence = sequence
        self._permutation = KeyedPermutation(key, bits=TOKEN_BITS)

    async def take(self, count: int) -> list[int]:
        """`count` tokens above 0: the one number that would become 0 is passed over.

        Raises:
            MeshError: TOKENS_UNAVAILABLE.
        """
        tokens: list[int] = []
        while missing := count - len(tokens):
            numbers = chain.from_iterable(await self._numbers(missing))
            tokens.extend(filter(None, map(self._permutation.encode, numbers)))
        return tokens

    async def _numbers(self, count: int) -> list[range]:
        try:
            return await self._sequence.next_ids_async(count)
        except (SequenceEmpty, SequencerUnavailable) as error:
            raise MeshError(ArkReason.TOKENS_UNAVAILABLE) from error


def load_key(path: Path) -> bytes:
    """The key in the file; made there, readable by its owner alone, when there is none.

    Raises:
        ValueError: the file does not hold a key.
    """
    if not path.exists():
        _create(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} must hold {KEY_BYTES} bytes: put back the copy of the key")
    return key


def _create(path: Path) -> None:
    """Write a new key in one step; of several processes that try, one wins."""
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
