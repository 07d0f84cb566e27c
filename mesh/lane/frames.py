"""The wire format of lanes: batches of frames, and the bounds on all of them.

Whatever queued while the last write was under way goes out as one batch, which is one
msgpack array. Lists in it come in the order in which they are applied; ids of calls rise
strictly. On a socket a batch follows its length (4 bytes, little-endian); a gRPC stream
carries each as one message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_BATCH: Final = 1 << 20
"""Bytes of a batch; a longer one is refused before it is read."""
FULL_FRAMES: Final = 64
FULL_BYTES: Final = 64 << 10
"""A batch is sent when it has so many frames or bytes; the rest goes into the next one."""
MAX_REQUEST: Final = 64 << 10
"""Bytes of a request; larger ones take the ordinary path."""
FRAGMENT: Final = 16 << 10
"""Bytes of a piece of a reply; larger replies come in several, between those of others."""
MAX_REPLY: Final = 16 << 20
"""Bytes of a reply, as on the ordinary path."""
MAX_METADATA: Final = 16 << 10
"""Bytes of the metadata of one call; more takes the ordinary path, which decides."""
MAX_METHODS: Final = 1_024
MAX_BLOCKS: Final = 1_024
MAX_BLOCK_BYTES: Final = 64 << 10
"""What a lane keeps of methods and of metadata that repeats."""
WINDOW: Final = 256
"""Calls that a client may have unanswered on one lane."""
MAX_WINDOW: Final = 4_096
"""The largest window that a client believes in."""
MAX_CONTROLS: Final = 2 * MAX_WINDOW
"""Control frames in one batch."""
MAX_PATH: Final = 512
MAX_KEY: Final = 256
"""Characters of a method's path and of a key; longer ones take the ordinary path."""
MAX_TEXT: Final = 16 << 10
"""Characters of a status message; a longer one is cut."""

NOT_HERE: Final = 255
"""In place of a status code: the call was not run, and belongs on the ordinary path."""


class Kind(IntEnum):
    """Control frames. Unknown ones from 128 on are passed over, others close the lane."""

    CANCEL = 1
    """The client wants no answer to a call any more (its id)."""
    CREDIT = 2
    """The server allows so many calls unanswered from now on."""
    GO_AWAY = 3
    """The server ran, or will run, calls up to this id and no others (and why)."""
    PING = 4
    PONG = 5
    """Are you there? A pong has the number of its ping."""
    DROP = 6
    """The client has forgotten a block of metadata (its id)."""


OPTIONAL: Final = 128


class LaneError(Exception):
    """The lane cannot go on: its peer broke a rule, or is gone. The text says which."""


class NotServedError(LaneError):
    """The peer answers, and has no lanes."""


class RefusedError(LaneError):
    """The peer has lanes, and does not take us in."""


_Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Path = Annotated[str, Meta(max_length=MAX_PATH)]
_Key = Annotated[str, Meta(max_length=MAX_KEY)]
_Text = Annotated[str, Meta(max_length=MAX_TEXT)]
_Code = Annotated[int, Meta(ge=0, le=NOT_HERE)]
_Trace = Annotated[bytes, Meta(max_length=64)]
_Value = Annotated[bytes, Meta(max_length=MAX_METADATA)]
_Request = Annotated[bytes, Meta(max_length=MAX_REQUEST)]

Pairs = Annotated[list[tuple[_Key, _Value]], Meta(max_length=MAX_METADATA // 32)]
"""Metadata as it is sent; `pack` and `unpack` tell text from bytes by the key's "-bin"."""
Control = tuple[_Number, _Number, _Text]

CallFrame = tuple[_Number, _Number, _Number, _Number, _Trace, Pairs, _Request]
"""id, method, time-out in µs (0: none), block (0: none), trace (25 bytes or none), own metadata,
request."""

EndFrame = tuple[_Number, _Code, _Text, Pairs, Pairs, bytes]
"""id, status code, its message, initial and trailing metadata, the (rest of the) reply."""

ReplyFrame = tuple[_Number, bytes]
"""id, the (rest of the) reply of a call that ended well and has no metadata; or a piece of one."""

# A frame of three bytes takes a hundred once it is read: lists are refused by their length.
_Controls = Annotated[list[Control], Meta(max_length=MAX_CONTROLS)]
_Replies = Annotated[list[ReplyFrame], Meta(max_length=MAX_WINDOW)]

ClientBatch = tuple[
    Annotated[list[tuple[_Number, _Path]], Meta(max_length=MAX_METHODS)],
    Annotated[list[tuple[_Number, Pairs]], Meta(max_length=MAX_BLOCKS)],
    Annotated[list[CallFrame], Meta(max_length=MAX_WINDOW)],
    _Controls,
]
"""New methods, new blocks of metadata, calls, control."""

ServerBatch = tuple[
    _Replies, _Replies, Annotated[list[EndFrame], Meta(max_length=MAX_WINDOW)], _Controls
]
"""Pieces of replies, replies, other endings, control."""

Buffer = bytes | bytearray | memoryview

_encode = msgspec.msgpack.Encoder().encode
_client_batch: Callable[[Buffer], ClientBatch] = msgspec.msgpack.Decoder(ClientBatch).decode
_server_batch: Callable[[Buffer], ServerBatch] = msgspec.msgpack.Decoder(ServerBatch).decode

Pair = tuple[str, str | bytes]


def encode(batch: ClientBatch | ServerBatch) -> bytes:
    """A batch as it is sent."""
    return _encode(batch)


def client_batch(data: Buffer) -> ClientBatch:
    """Read what a client sent.

    Raises:
        LaneError: it is no batch.
    """
    try:
        return _client_batch(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LaneError(f"the batch cannot be read: {error}") from None


def server_batch(data: Buffer) -> ServerBatch:
    """Read what a server sent.

    Raises:
        LaneError: it is no batch.
    """
    try:
        return _server_batch(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LaneError(f"the batch cannot be read: {error}") from None


def pack(metadata: Iterable[Pair]) -> Pairs:
    """Metadata as it is sent."""
    return [(key, v if isinstance(v, bytes) else v.encode("ascii")) for key, v in metadata]


def unpack(pairs: Pairs) -> list[Pair]:
    """Metadata as programs see it: text, or bytes under keys that end with "-bin".

    Raises:
        LaneError: text that is not ASCII.
    """
    try:
        return [(k, v if k.endswith("-bin") else v.decode("ascii")) for k, v in pairs]
    except UnicodeDecodeError:
        raise LaneError("metadata holds text that is not ASCII") from None


def size_of(metadata: Iterable[Pair]) -> int:
    """Bytes that metadata counts for: as in HTTP/2, each pair for 32 more than its text.

    A key that is too long makes it larger than any lane takes.
    """
    return sum(
        len(key) + len(value) + 32 if len(key) <= MAX_KEY else MAX_METADATA + 1
        for key, value in metadata
    )
