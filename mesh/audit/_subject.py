"""What a call is about, read from its request: object, customer, chain.

The paths are worked out once for each method; a call only follows them. Ids
alone are read: never a field with a `sensitivity`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from engine.mesh.v1 import context_pb2
from mesh import contract
from mesh.contract import ContractError, Method

CUSTOMER: Final = "customer_id"
MAX_OBJECT: Final = 128
"""Characters kept of an object: a refused request may hold any text."""

_CHAIN: Final = tuple(context_pb2.ChainIds.DESCRIPTOR.fields_by_name)
_INTEGERS: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_UINT32,
    }
)

_Read = Callable[[Any], Any]


class Subject:
    """Reads what the calls of one method are about.

    Raises:
        ContractError: on construction, when `object_field` leads nowhere or to
            personal data.
    """

    def __init__(self, method: Method) -> None:
        of_request = () if method.client_streaming else tuple(_ids(method.input))
        self._objects = _objects(method, of_request)
        self._customer = _first(of_request, CUSTOMER)
        read = ((name, _first(of_request, name)) for name in _CHAIN)
        self._chain = tuple((name, path) for name, path in read if path is not None)

    def object(self, request: Any) -> str:
        """What it is done to, as "field=value"; empty when the request names nothing."""
        for name, read in self._objects:
            value = read(request)
            if value:
                return f"{name}={value}"[:MAX_OBJECT]
        return ""

    def customer_id(self, request: Any) -> int:
        """The customer it is about; 0 when the request names none."""
        found: int = self._customer(request) if self._customer else 0
        return found

    def chain(self, request: Any, carried: context_pb2.ChainIds) -> context_pb2.ChainIds:
        """The ids that the call carries, with those that its request names."""
        if not self._chain:
            return carried
        chain = context_pb2.ChainIds()
        chain.CopyFrom(carried)
        for name, read in self._chain:
            value = read(request)
            if value:
                setattr(chain, name, value)
        return chain


def _objects(method: Method, of_request: Sequence[str]) -> tuple[tuple[str, _Read], ...]:
    stated = method.policy.object_field
    if stated:
        if method.client_streaming:
            raise ContractError(f"{method.path} has an object_field but takes a stream")
        if contract.sensitivity(contract.field(method.input, stated)):
            raise ContractError(f"the object_field of {method.path} is personal data: name an id")
        return ((stated, attrgetter(stated)),)
    plain = [path for path in of_request if "." not in path]
    scoped = [path for path in of_request if path == method.policy.scope_field]
    return tuple((path, attrgetter(path)) for path in dict.fromkeys([*scoped, *plain]))


def _first(paths: Sequence[str], name: str) -> _Read | None:
    """Reads the first of the paths that ends in a field of this name."""
    path = next((path for path in paths if path.rpartition(".")[2] == name), None)
    return None if path is None else attrgetter(path)


def _ids(message: Descriptor) -> Iterator[str]:
    """Paths of the request's ids: its own first, then those one level down."""
    single = [field for field in message.fields if not field.is_repeated]
    yield from (field.name for field in single if _is_id(field))
    for field in single:
        if field.message_type is not None:
            for inner in field.message_type.fields:
                if not inner.is_repeated and _is_id(inner):
                    yield f"{field.name}.{inner.name}"


def _is_id(field: FieldDescriptor) -> bool:
    named = field.name.endswith("_id") or field.name in _CHAIN
    return named and field.type in _INTEGERS and not contract.sensitivity(field)
