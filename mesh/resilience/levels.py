"""What a contract says of sending a call twice: the standard option `idempotency_level`."""

from __future__ import annotations

from functools import cache
from typing import Final

from google.protobuf import descriptor_pb2, descriptor_pool

_LEVELS: Final = descriptor_pb2.MethodOptions


def is_repeatable(path: str) -> bool:
    """Whether the contract, as far as this process knows it, lets a call be sent twice."""
    return _level(path) in {_LEVELS.IDEMPOTENT, _LEVELS.NO_SIDE_EFFECTS}


def is_read(path: str) -> bool:
    """Whether the contract says that a call changes nothing."""
    return _level(path) == _LEVELS.NO_SIDE_EFFECTS


@cache
def _level(path: str) -> int:
    """The level of "/package.Service/Method"; that of a method which is not known is unknown."""
    name = path.removeprefix("/").replace("/", ".")
    try:
        method = descriptor_pool.Default().FindMethodByName(name)
    except KeyError:
        return _LEVELS.IDEMPOTENCY_UNKNOWN
    raw = method.GetOptions().SerializeToString()
    return _LEVELS.FromString(raw).idempotency_level
