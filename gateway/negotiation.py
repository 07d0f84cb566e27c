"""What a client sends and takes: media types and languages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

JSON: Final = "application/json"


@lru_cache(maxsize=256)
def is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON in UTF-8."""
    media_type, *parameters = (part.strip() for part in content_type.lower().split(";"))
    charsets = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
    return media_type == JSON and all(charset in {"utf-8", "us-ascii"} for charset in charsets)


@lru_cache(maxsize=256)
def accepts_json(accept: str) -> bool:
    """Whether an Accept header, empty when absent, lets JSON be answered."""
    if not accept.strip():
        return True
    qualities = dict(_weighted(accept))
    for media_range in (JSON, "application/*", "*/*"):  # the most specific range decides
        if media_range in qualities:
            return qualities[media_range] > 0
    return False


@lru_cache(maxsize=256)
def prefers_chinese(accept_language: str) -> bool:
    """Whether an Accept-Language header would rather have Chinese than English."""
    best = {"zh": 0.0, "en": 0.0}
    for tag, quality in _weighted(accept_language):
        language = tag.partition("-")[0]
        if language in best:
            best[language] = max(best[language], quality)
    return best["zh"] > best["en"]


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    """The entries of a header with their quality; one that cannot be read counts as 0."""
    for entry in header.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                quality = _quality(parameter[2:])
        if name:
            yield name, quality


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
