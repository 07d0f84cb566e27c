"""Payloads of events as a person reads them."""

from __future__ import annotations

import json
import pkgutil
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.mesh.v1.event_pb2 import Event


def payload_json(event: Event) -> str:
    """The payload as JSON on one line; its size, when this program does not know its type."""
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import DecodeError

    kind = _message_type(event.type)
    try:
        message = kind.FromString(event.payload) if kind else None
    except DecodeError:
        message = None
    if message is None:
        return f"{len(event.payload)} bytes"
    return json.dumps(MessageToDict(message), ensure_ascii=False, separators=(",", ":"))


def _message_type(name: str) -> Any:
    """The generated class of a message; None when no contract here has it."""
    from google.protobuf import descriptor_pool, message_factory

    _load_contracts(name.rpartition(".")[0])
    try:
        found = descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        return None
    return message_factory.GetMessageClass(found)


def _load_contracts(package: str) -> None:
    """Import the generated modules of a package of ours, so that its messages are known."""
    if not package.startswith("engine."):
        return
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:
        return
    for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else ()):
        if module.name.endswith("_pb2"):
            import_module(f"{package}.{module.name}")
