"""What a call asks of the peer: bytes in, bytes out, so that nothing is tried but lanes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

SERVICE: Final = "engine.loadtests.Lanes"
ONCE: Final = f"/{SERVICE}/Once"
"""Has an effect: whoever may have run it must not run it again."""
AGAIN: Final = f"/{SERVICE}/Again"
"""Its contract says that a second time does no harm."""
PIECES: Final = f"/{SERVICE}/Pieces"
"""Answers a stream."""
ECHOES: Final = f"/{SERVICE}/Echoes"
"""Answers each request of a stream with the same bytes."""
LAST: Final = f"/{SERVICE}/Last"
"""Answers a stream of requests with the last of them."""
BLOCKS: Final = f"/{SERVICE}/Blocks"
"""Like `ONCE`, by a handler that is no coroutine: it is not served over lanes."""
COUNTS: Final = f"/{SERVICE}/Counts"
"""What the process holds, as JSON; to be asked over plain gRPC."""
LOSE: Final = f"/{SERVICE}/Lose"
"""Has the process close all its lanes, as the request says: `CUT` or `AWAY`."""

CUT: Final = b"cut"
AWAY: Final = b"away"

_HEAD: Final = struct.Struct("<QIdH")
_NUMBER: Final = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call.

    `number` is its own, `size` the bytes of the reply, `hold_s` how long the peer takes,
    `code` the status that it ends with, as gRPC numbers them.
    """

    number: int
    size: int = 0
    hold_s: float = 0.0
    code: int = 0

    def to_bytes(self) -> bytes:
        """The request."""
        return _HEAD.pack(self.number, self.size, self.hold_s, self.code)

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """What a request asks for; bytes behind the head are ballast."""
        number, size, hold_s, code = _HEAD.unpack_from(raw)
        return cls(number=number, size=size, hold_s=hold_s, code=code)

    def answer(self) -> bytes:
        """The reply: the number, and as many bytes more as it takes."""
        return _NUMBER.pack(self.number).ljust(self.size, b"\0")

    def is_answered_by(self, reply: bytes) -> bool:
        """Whether a reply is that of this call, and whole."""
        return reply == self.answer()


def know_contract(*, repeatable: Sequence[str] = (AGAIN,)) -> None:
    """Let this process know which methods may be run twice."""
    levels = descriptor_pb2.MethodOptions
    file = descriptor_pb2.FileDescriptorProto(
        name="engine/loadtests/lanes.proto", package="engine.loadtests", syntax="proto3"
    )
    file.message_type.add(name="Bytes")
    service = file.service.add(name="Lanes")
    for path in (ONCE, AGAIN):
        name, message = path.rpartition("/")[2], ".engine.loadtests.Bytes"
        method = service.method.add(name=name, input_type=message, output_type=message)
        if path in repeatable:
            method.options.idempotency_level = levels.IDEMPOTENT
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


def status(asked: Asked) -> grpc.StatusCode:
    """The status that a call asks for."""
    found: grpc.StatusCode = next(code for code in grpc.StatusCode if code.value[0] == asked.code)
    return found
