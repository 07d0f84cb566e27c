"""What a field's descriptor says, beyond its type."""

from __future__ import annotations

from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor


def behaviors(field: FieldDescriptor) -> frozenset[int]:
    """The `google.api.field_behavior` of a field."""
    # Parsed anew: see `mesh.contract` for why options are.
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    return frozenset(options.Extensions[field_behavior_pb2.field_behavior])


def output_only(field: FieldDescriptor) -> bool:
    """Whether clients read the field but do not set it."""
    return field_behavior_pb2.OUTPUT_ONLY in behaviors(field)


def required(field: FieldDescriptor) -> bool:
    """Whether clients must set the field."""
    return field_behavior_pb2.REQUIRED in behaviors(field)


def needs_fields(message: Descriptor) -> bool:
    """Whether a message, or one within it, has fields that proto2 calls required."""
    seen: dict[str, Descriptor] = {}
    waiting = [message]
    while waiting:
        found = waiting.pop()
        if found.full_name not in seen:
            seen[found.full_name] = found
            waiting += [field.message_type for field in found.fields if field.message_type]
    return any(field.is_required for found in seen.values() for field in found.fields)


def parts(field: FieldDescriptor) -> Descriptor | None:
    """The message whose fields may be named one by one ("a.b"); None when there is none."""
    message = field.message_type
    if message is None or field.is_repeated or message.full_name.startswith("google.protobuf."):
        return None
    return message
