"""The contract of the service that rounds of the mesh call: one read, and one effect."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import ServiceDescriptor

from engine.mesh.v1 import policy_pb2

PACKAGE: Final = "engine.faults.v1"
READ: Final = f"/{PACKAGE}.LedgerService/Read"
"""Changes nothing: whoever lost its answer may ask again."""
ADD: Final = f"/{PACKAGE}.LedgerService/Add"
"""Has an effect each time that it runs: nobody may send it twice."""
RIGHTS: Final = frozenset({"faults.read", "faults.add"})
"""What who calls must hold."""
TIMEOUT_S: Final = 5

_LEVELS: Final = descriptor_pb2.MethodOptions
_TEXT: Final = descriptor_pb2.FieldDescriptorProto.TYPE_STRING


@cache
def contract(*, add_is_repeatable: bool = False) -> ServiceDescriptor:
    """The contract, known to this process from now on.

    `add_is_repeatable` makes it say of `ADD` what is not true: then all is sent again.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="engine/faults/v1/ledger.proto", package=PACKAGE, syntax="proto3"
    )
    file.dependency.append("engine/mesh/v1/policy.proto")
    file.message_type.add(name="Asked").field.add(name="request_id", number=1, type=_TEXT, label=1)
    file.message_type.add(name="Answer").field.add(name="instance", number=1, type=_TEXT, label=1)
    service = file.service.add(name="LedgerService")
    _add(service, "Read", "faults.read", _LEVELS.NO_SIDE_EFFECTS)
    level = _LEVELS.IDEMPOTENT if add_is_repeatable else _LEVELS.IDEMPOTENCY_UNKNOWN
    _add(service, "Add", "faults.add", level)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName(f"{PACKAGE}.LedgerService")


def message(name: str) -> Any:
    """The class of a message of the contract, `Asked` or `Answer`."""
    found = descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.{name}")
    return message_factory.GetMessageClass(found)


def _add(
    service: descriptor_pb2.ServiceDescriptorProto, name: str, permission: str, level: Any
) -> None:
    method = service.method.add(
        name=name, input_type=f".{PACKAGE}.Asked", output_type=f".{PACKAGE}.Answer"
    )
    method.options.idempotency_level = level
    policy = method.options.Extensions[policy_pb2.policy]
    policy.permission, policy.internal = permission, True
    policy.timeout.seconds = TIMEOUT_S
