"""What a method's descriptor says: its policy, its HTTP rule, its types.

Options are read in this one place, because they silently do not exist for a
reader that has not imported the option modules before the descriptor was
touched. Each option message is parsed anew from its bytes, and unknown fields
fail closed: a policy that we cannot read is not a policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, unknown_fields
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.message import Message

from engine.mesh.v1 import policy_pb2

DEFAULT_TIMEOUT_S = 10.0


class ContractError(Exception):
    """A contract that cannot be served; the text names the method and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method of a service, ready for gateway and server alike.

    `path` is "/package.Service/Method". `timeout_s` bounds every call.
    `http` is None for methods without a REST mapping.
    """

    path: str
    service: str
    name: str
    input: Descriptor
    output: Descriptor
    client_streaming: bool
    server_streaming: bool
    policy: policy_pb2.MethodPolicy
    http: http_pb2.HttpRule | None
    timeout_s: float
    idempotent: bool
    read_only: bool

    @property
    def has_request_id(self) -> bool:
        """Whether the request carries an idempotency key."""
        return "request_id" in self.input.fields_by_name

    @property
    def object_field(self) -> str:
        """Path of the request field that names what the call acts upon; empty when none does."""
        return self.policy.object_field or self.policy.scope_field


def method(
    descriptor: MethodDescriptor, *, foreign: policy_pb2.MethodPolicy | None = None
) -> Method:
    """Read one method.

    Args:
        descriptor: the method.
        foreign: its policy, where its contract comes from elsewhere and carries none.

    Raises:
        ContractError: it states neither `permission` nor `anonymous`, or options
            that this version does not know; or there are two policies.
    """
    service: ServiceDescriptor = descriptor.containing_service
    path = f"/{service.full_name}/{descriptor.name}"
    options = descriptor_pb2.MethodOptions.FromString(descriptor.GetOptions().SerializeToString())
    policy = options.Extensions[policy_pb2.policy]
    if foreign is not None:
        if options.HasExtension(policy_pb2.policy):
            raise ContractError(f"{path} states a policy of its own, which cannot be replaced")
        policy = foreign
    if not policy.anonymous and not policy.permission:
        raise ContractError(
            f"{path} states neither permission nor anonymous: "
            'add option (engine.mesh.v1.policy) = {permission: "…"}'
        )
    _refuse_unknown(path, policy)
    level = options.idempotency_level
    levels = descriptor_pb2.MethodOptions
    has_http = options.HasExtension(annotations_pb2.http)
    return Method(
        path=path,
        service=service.full_name,
        name=descriptor.name,
        input=descriptor.input_type,
        output=descriptor.output_type,
        client_streaming=descriptor.client_streaming,
        server_streaming=descriptor.server_streaming,
        policy=policy,
        http=options.Extensions[annotations_pb2.http] if has_http else None,
        timeout_s=_seconds(policy),
        idempotent=level in (levels.IDEMPOTENT, levels.NO_SIDE_EFFECTS),
        read_only=level == levels.NO_SIDE_EFFECTS,
    )


def digest(services: Iterable[ServiceDescriptor]) -> str:
    """Tells apart what is served: the same for the same services and files, imports included."""
    served = tuple(services)
    files: dict[str, bytes] = {}
    waiting = [service.file for service in served]
    while waiting:
        file = waiting.pop()
        if file.name not in files:
            files[file.name] = file.serialized_pb
            waiting += file.dependencies
    return digest_of((service.full_name for service in served), files)


def digest_of(services: Iterable[str], files: Mapping[str, bytes]) -> str:
    """The digest of services by their full names, and of all their files by name."""
    names = sorted(name.encode() for name in services)
    whole = sha256()
    for part in (*names, *(files[name] for name in sorted(files))):
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()[:16]


def field(message: Descriptor, path: str) -> FieldDescriptor:
    """The field that a path like "follow_up.author" leads to.

    Raises:
        ContractError: it leads nowhere, or through a list.
    """
    *parents, name = path.split(".")
    within: Descriptor | None = message
    for parent in parents:
        within = _single(within, parent, path).message_type
    return _single(within, name, path)


def sensitivity(field: object) -> policy_pb2.Sensitivity.ValueType:
    """The kind of personal data in a field (a `FieldDescriptor`)."""
    raw = field.GetOptions().SerializeToString()  # type: ignore[attr-defined]
    options = descriptor_pb2.FieldOptions.FromString(raw)
    kind: policy_pb2.Sensitivity.ValueType = options.Extensions[policy_pb2.sensitivity]
    return kind


def _single(message: Descriptor | None, name: str, path: str) -> FieldDescriptor:
    found = message.fields_by_name.get(name) if message else None
    if found is None or found.is_repeated:
        raise ContractError(f"the path {path!r} of a policy names no single field of the request")
    return found


def _seconds(policy: policy_pb2.MethodPolicy) -> float:
    seconds = policy.timeout.seconds + policy.timeout.nanos / 1e9
    return seconds or DEFAULT_TIMEOUT_S


def _refuse_unknown(path: str, policy: Message) -> None:
    found = unknown_fields.UnknownFieldSet(policy)
    unknown = [found[index].field_number for index in range(len(found))]
    if unknown:
        raise ContractError(
            f"{path} has policy fields {unknown} that this version does not know: upgrade it"
        )
