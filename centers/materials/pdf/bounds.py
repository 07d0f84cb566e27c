"""Bounds of documents, and of the process that parses them."""

from __future__ import annotations

from typing import Final

MAX_SOURCE_BYTES: Final = 64 << 20
"""Bytes of an uploaded document."""

MAX_NORMAL_BYTES: Final = 128 << 20
"""Bytes of a rewritten one: it holds uncompressed what the source may have packed."""

MAX_PAGES: Final = 5_000
MAX_EXCERPT_PAGES: Final = 100

MAX_HEADER_BYTES: Final = 32 << 20
"""Bytes of a frame's header; that of a rewritten document lists the ranges of all pages."""

MEMORY_BYTES: Final = 1 << 30
"""Address space of the child, its libraries included."""

CPU_S: Final = 20
"""Seconds of processor time that one document may take."""

DECODED_BYTES: Final = 256 << 20
"""What one compressed stream may become: a bomb ends here."""
