"""What a caller of Redis has to reckon with: it is gone, or it refuses the command."""

from __future__ import annotations


class RedisUnavailable(Exception):  # noqa: N818 - the state of Redis, not its fault
    """Redis is gone, too slow or not able to do it now. The command may have been carried out."""


class RedisRefused(Exception):  # noqa: N818 - what Redis did
    """Redis answered that the command is wrong; saying it again does not help.

    `code` is the first word of the answer: "WRONGTYPE", "NOSCRIPT", "BUSYGROUP", "ERR".
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
