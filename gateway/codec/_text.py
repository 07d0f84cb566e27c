"""JSON text to Python values, refusing what JSON readers disagree about."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from gateway.errors import GatewayReason
from mesh.errors import MeshError

MAX_DEPTH: Final = 64
"""Objects and lists within one another."""


def load(body: bytes) -> Any:
    """The JSON document in `body`. Integers stay exact.

    Raises:
        MeshError: MALFORMED_JSON.
    """
    try:
        document = _DECODER.decode(body.decode())
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"{error.msg} at {where}") from None
    except UnicodeDecodeError as error:
        raise _malformed(f"Byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise _malformed("Objects and lists are nested too deep") from None
    except ValueError:  # an integer of thousands of digits
        raise _malformed("A number is too long") from None
    # There cannot be more levels than brackets.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _too_deep(document):
        raise _malformed("Objects and lists are nested too deep")
    return document


def _malformed(detail: str) -> MeshError:
    return MeshError(GatewayReason.MALFORMED_JSON, detail)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _malformed("A key stands twice in one object")
    return result


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _malformed("A number is too large")
    return number


def _refuse_constant(text: str) -> float:
    raise _malformed(f"{text} must stand in quotes")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
)


def _too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
        if not level:
            return False
    return True


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    """The objects and lists in an object or list."""
    children = value.values() if isinstance(value, dict) else value
    return [child for child in children if isinstance(child, (dict, list))]
