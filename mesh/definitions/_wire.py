"""A version's head as the contract shows it."""

from __future__ import annotations

from typing import Any

from engine.mesh.v1 import definition_pb2
from mesh.definitions._cycle import Version


def to_message(version: Version[Any]) -> definition_pb2.Definition:
    """The head of a version as `engine.mesh.v1.Definition`."""
    head = definition_pb2.Definition(
        definition_id=version.definition_id,
        version=version.version,
        state=definition_pb2.DefinitionState.ValueType(version.state),
        author=version.author,
        checker=version.checker,
        etag=version.etag,
    )
    head.create_time.FromDatetime(version.create_time)
    if version.publish_time is not None:
        head.publish_time.FromDatetime(version.publish_time)
    return head
