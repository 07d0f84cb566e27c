"""Who is held out: drawn by a hash, so that anybody can compute it again.

Public and without I/O: whoever prepares data (a fixture that wants an exact
number of held-out customers, a review that checks the draw) uses the same rule.
"""

from __future__ import annotations

import hashlib
from typing import Final

WHOLE_BP: Final = 10_000

_DIGEST_BYTES: Final = 8


def held_out(salt: str, customer_id: int, holdout_bp: int) -> bool:
    """Whether the customer is left alone to compare with.

    BLAKE2b over "SALT:CUSTOMER", its 8 bytes as a big-endian number, modulo 10,000,
    lies below `holdout_bp`. A larger share therefore holds out all whom a smaller
    one of the same salt does.
    """
    digest = hashlib.blake2b(f"{salt}:{customer_id}".encode(), digest_size=_DIGEST_BYTES).digest()
    return int.from_bytes(digest, "big") % WHOLE_BP < holdout_bp
