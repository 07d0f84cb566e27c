"""Replies that wait to be sent on one lane: small ones whole, large ones piece by piece."""

from __future__ import annotations

from collections import deque
from typing import Final

from mesh.lane.frames import (
    FRAGMENT,
    FULL_BYTES,
    FULL_FRAMES,
    EndFrame,
    ReplyFrame,
    ServerBatch,
    size_of,
)

MAX_UNSENT: Final = 8 << 20
"""Bytes of replies that may wait; while more do, no further call of the lane is begun."""
FRAME: Final = 64
"""Bytes that a reply counts for beside its own: replies that are empty are bounded, too."""


class Outbox:
    """The replies of one lane, in the order in which they are ready.

    Of each large reply one piece goes out in turn, and never more than half a batch: a
    small reply does not wait for a large one.
    """

    __slots__ = ("_endings", "_large", "_replies", "unsent")

    def __init__(self) -> None:
        self._replies: deque[ReplyFrame] = deque()
        self._endings: deque[EndFrame] = deque()
        self._large: deque[tuple[ReplyFrame | EndFrame, memoryview]] = deque()
        self.unsent = 0
        """Bytes that wait."""

    def __bool__(self) -> bool:
        return bool(self._replies or self._endings or self._large)

    def reply(self, number: int, reply: bytes) -> None:
        """A call ended well and has nothing to tell but its reply."""
        self.unsent += len(reply) + FRAME
        if len(reply) <= FRAGMENT:
            self._replies.append((number, reply))
        else:
            self._large.append(((number, b""), memoryview(reply)))

    def end(self, frame: EndFrame) -> None:
        """A call ended in any other way."""
        reply = frame[5]
        self.unsent += _size(frame)
        if len(reply) <= FRAGMENT:
            self._endings.append(frame)
        else:
            self._large.append(((*frame[:5], b""), memoryview(reply)))

    def clear(self) -> None:
        """Nobody waits for any of it."""
        self._replies.clear()
        self._endings.clear()
        self._large.clear()
        self.unsent = 0

    def take(self) -> ServerBatch:
        """What fits into the next batch; its control frames are the caller's."""
        pieces = self._take_pieces() if self._large else []
        replies, size = self._take_replies()
        endings = self._take_endings(FULL_BYTES - size) if self._endings else []
        return pieces, replies, endings, []

    def _take_pieces(self) -> list[ReplyFrame]:
        pieces: list[ReplyFrame] = []
        for _ in range(min(len(self._large), FULL_BYTES // 2 // FRAGMENT)):
            frame, rest = self._large.popleft()
            piece, rest = bytes(rest[:FRAGMENT]), rest[FRAGMENT:]
            if rest:
                self.unsent -= len(piece)
                pieces.append((frame[0], piece))
                self._large.append((frame, rest))
            elif len(frame) == 2:
                self._replies.appendleft((frame[0], piece))
            else:
                self._endings.appendleft((*frame[:5], piece))
        return pieces

    def _take_replies(self) -> tuple[list[ReplyFrame], int]:
        queue, size = self._replies, 0
        out: list[ReplyFrame] = []
        while queue and len(out) < FULL_FRAMES and size < FULL_BYTES:
            frame = queue.popleft()
            size += len(frame[1])
            out.append(frame)
        self.unsent -= size + FRAME * len(out)
        return out, size

    def _take_endings(self, room: int) -> list[EndFrame]:
        """As many as there is room for, and one where there is none: replies never end."""
        queue = self._endings
        out: list[EndFrame] = []
        while queue and len(out) < FULL_FRAMES and (room > 0 or not out):
            frame = queue.popleft()
            size = _size(frame)
            room -= size
            self.unsent -= size
            out.append(frame)
        return out


def _size(frame: EndFrame) -> int:
    _, _, text, initial, trailing, reply = frame
    return FRAME + len(text) + size_of(initial) + size_of(trailing) + len(reply)
