"""What a simulator keeps of a text: never the text itself."""

from __future__ import annotations

import hashlib


def text_sha256(text: str) -> str:
    """The hash of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
