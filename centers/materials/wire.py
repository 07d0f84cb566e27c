"""Materials as the contract shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, TypeAlias

from engine.materials.v1 import materials_pb2
from mesh.definitions import State, Version, to_message

MaterialVersion: TypeAlias = Version[materials_pb2.Material]

SCRIPT: Final = materials_pb2.MATERIAL_TYPE_SCRIPT
PDF: Final = materials_pb2.MATERIAL_TYPE_PDF

READ_ONLY: Final = ("definition", "status", "sha256", "size_bytes", "pages")
"""Fields of a material that its author does not write."""

_STATUS: Final = {
    State.DRAFT: materials_pb2.MATERIAL_STATUS_DRAFT,
    State.REVIEW: materials_pb2.MATERIAL_STATUS_REVIEW,
    State.PUBLISHED: materials_pb2.MATERIAL_STATUS_PUBLISHED,
}


def body(material: materials_pb2.Material) -> materials_pb2.Material:
    """What the author says of a material, without what the centre says."""
    written = materials_pb2.Material()
    written.CopyFrom(material)
    for field in READ_ONLY:
        written.ClearField(field)
    return written


def material(version: MaterialVersion, *, recalled: bool) -> materials_pb2.Material:
    """A version of a material; when that is recalled, so are all its versions."""
    message = materials_pb2.Material()
    message.CopyFrom(version.body)
    message.definition.CopyFrom(to_message(version))
    message.status = materials_pb2.MATERIAL_STATUS_RECALLED if recalled else _STATUS[version.state]
    return message


def is_expired(material: materials_pb2.Material, now: datetime) -> bool:
    """Whether it may not be used any more; it ends at its expiry, to the microsecond."""
    has_end = material.HasField("expire_time")
    return has_end and material.expire_time.ToDatetime(tzinfo=UTC) <= now


def has_sound_end(material: materials_pb2.Material) -> bool:
    """Whether its expiry, if it has one, is a time that exists."""
    try:
        material.expire_time.ToDatetime()
    except (OverflowError, ValueError):
        return False
    return True


def told(shown: materials_pb2.Material) -> materials_pb2.MaterialChanged:
    """What all others hear of a material: not its text."""
    changed = materials_pb2.MaterialChanged(material=shown)
    changed.material.ClearField("text")
    return changed
