"""Why a document is not taken; the child says so by name."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """What is wrong with a document."""

    NOT_A_PDF = "NOT_A_PDF"
    ENCRYPTED = "ENCRYPTED"
    ACTIVE = "ACTIVE"
    TOO_COMPLEX = "TOO_COMPLEX"


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The document is not taken. `fact` names what was found; never text of the document."""

    def __init__(self, refusal: Refusal, fact: str = "") -> None:
        self.refusal = refusal
        self.fact = fact
        super().__init__(refusal.value)
