"""Columns of text without a Python loop over the rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bank.stream import Integers

Characters = npt.NDArray[np.uint8]

_QUAD = 4
_QUADS = np.array([f"{n:04}".encode() for n in range(10**_QUAD)]).view(np.uint8).reshape(-1, _QUAD)


def digits(numbers: Integers, width: int) -> Characters:
    """The last `width` decimal digits of each number, as ASCII, one row each."""
    blocks = -(-width // _QUAD)
    text = np.empty((len(numbers), blocks * _QUAD), dtype=np.uint8)
    rest = numbers
    for block in reversed(range(blocks)):
        rest, quad = np.divmod(rest, 10**_QUAD)
        text[:, block * _QUAD : (block + 1) * _QUAD] = _QUADS[quad]
    return text[:, blocks * _QUAD - width :]


def strings(text: Characters) -> pa.StringArray:
    """An Arrow column of the rows of ASCII text, all of the same width."""
    count, width = text.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    data = np.ascontiguousarray(text)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))
