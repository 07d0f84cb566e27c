"""What must hold whatever comes over a lane; each property takes bytes, and asserts."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.lane import hello as opening
from mesh.lane.frames import Kind, LaneError, ServerBatch, client_batch, encode, server_batch
from mesh.lane.keeper import State
from mesh.lane.socket import LENGTH, SocketCarrier
from tests.unit.mesh.lane.world import ECHO, HOLD, MISSING, STREAMS, Wire, World

PATHS: Final = st.sampled_from([HOLD, ECHO, MISSING, STREAMS, "", "/", "\0"])

# What comes: what a peer would say, what only looks like it, and what is nothing at all.

_small = st.integers(0, 6)
_numbers = st.one_of(_small, st.integers(0, 300), st.sampled_from([2**31, 2**63 - 1]))
_metadata = st.lists(
    st.tuples(
        st.sampled_from(["user", "x-bin", "k" * 256, ""]), st.sampled_from([b"v", b"\xff", b""])
    ),
    max_size=3,
)
_control = st.lists(st.tuples(st.integers(0, 130), _numbers, st.just("why")), max_size=3)
_requests = st.sampled_from([b"", b"request", b"." * 70_000, b"." * 1_000])
_calls = st.lists(
    st.tuples(_small, _small, _numbers, st.integers(0, 2), st.just(b""), _metadata, _requests),
    max_size=5,
)
_client_batches = st.tuples(
    st.lists(st.tuples(_small, PATHS), max_size=3),
    st.lists(st.tuples(st.integers(0, 2), _metadata), max_size=2),
    _calls.map(lambda calls: sorted(calls, key=lambda call: call[0])),
    _control,
)
_replies = st.lists(st.tuples(_small, st.sampled_from([b"", b"reply", b"." * 17_000])), max_size=4)
_codes = st.sampled_from([0, 1, 5, 16, 17, 200, 255])
_endings = st.lists(
    st.tuples(_small, _codes, st.text(max_size=5), _metadata, _metadata, st.binary(max_size=9)),
    max_size=4,
)
_server_batches = st.tuples(_replies, _replies, _endings, _control)
_leaves = st.one_of(st.none(), st.booleans(), st.integers(-1, 2**63), st.text(), st.binary())
_objects = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=5), max_leaves=20)
_any_objects = _objects.map(msgspec.msgpack.encode)


@st.composite
def _mutated(draw: Any, valid: st.SearchStrategy[bytes]) -> bytes:
    """Bytes of a valid batch, some of them changed, left out or put in."""
    raw = bytearray(draw(valid))
    for _ in range(draw(st.integers(1, 3))):
        at, kind = draw(st.integers(0, len(raw))), draw(st.integers(0, 3))
        byte = bytes([draw(st.integers(0, 255))])
        if kind == 0:
            raw[at : at + 1] = byte
        elif kind == 1:
            raw[at:at] = byte * draw(st.integers(1, 4))
        elif kind == 2:
            del raw[at : at + 3]
        else:
            del raw[at:]
    return bytes(raw)


def _wild(valid: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(valid, _mutated(valid), _any_objects, st.binary(max_size=200))


CLIENT_BATCHES: Final = _wild(_client_batches.map(encode))
SERVER_BATCHES: Final = _wild(_server_batches.map(encode))
CLIENT_HELLO: Final = opening.write(opening.ClientHello(opening.MAGIC, program="fuzz"))
SERVER_HELLO: Final = opening.write(opening.ServerHello(opening.MAGIC, nonce=bytes(32)))
HELLOS: Final = _wild(st.sampled_from([CLIENT_HELLO, SERVER_HELLO]))
_OPEN: ServerBatch = ([], [], [], [(Kind.CREDIT, 8, "")])
CREDIT: Final = encode(_OPEN)


def nothing_but_lane_errors(data: bytes) -> None:
    """Every reader either reads, or says that it cannot."""
    readers: tuple[Callable[[bytes], Any], ...] = (
        client_batch,
        server_batch,
        lambda raw: opening.read(opening.ServerHello, raw),
        lambda raw: opening.read(opening.ClientHello, raw),
    )
    for reader in readers:
        with suppress(LaneError):
            reader(data)


def a_server_bears(batches: Sequence[bytes], turns: Sequence[int]) -> None:
    """A server's lane goes on, or tells why it does not and leaves nothing behind."""
    with World(window=8) as world:
        world.write(world.down)
        world.feed(world.down, CLIENT_HELLO)
        _feed_all(world, world.down, batches, turns)
        if world.down.is_closed:
            *_, control = server_batch(world.down.sent[-1])
            assert control[-1][0] == Kind.GO_AWAY
            assert control[-1][2]
            assert not world.server._inbox
        world.cut()
        world.settle()
        _nothing_is_left(world)


def a_server_bears_a_hello(data: bytes) -> None:
    """What does not open a lane closes the connection, and the client is told why."""
    with World() as world:
        world.write(world.down)
        world.feed(world.down, data)
        if world.down.is_closed:
            assert not world.server.is_open
            *_, control = server_batch(world.down.sent[-1])
            assert control[-1][0] == Kind.GO_AWAY
        world.cut()
        world.settle()
        _nothing_is_left(world)


def a_client_bears(batches: Sequence[bytes], turns: Sequence[int]) -> None:
    """A client's lane goes on, or gives back every call that it has not ended."""
    with World() as world:
        for batch in (SERVER_HELLO, CREDIT):
            world.feed(world.up, batch)
        calls = [world.call(path, path.encode()) for path in (HOLD, ECHO, MISSING, STREAMS)]
        for _ in range(3):
            world.write(world.up)
        _feed_all(world, world.up, batches, turns)
        world.cut()
        world.settle()
        _no_call_waits(world, calls)


def a_client_bears_a_hello(data: bytes) -> None:
    """A lane that does not open says so to who waits for it."""
    with World() as world:
        call = world.call(ECHO)
        world.feed(world.up, data)
        if world.up.is_closed:
            assert world.client.opened.done()
            assert isinstance(world.client.opened.exception(), LaneError)
        world.within(world.client.lost, "no carrier is left")
        _no_call_waits(world, [call])


def a_socket_bears(data: bytes, cuts: Sequence[int]) -> None:
    """However bytes are cut, a carrier holds no more of them than a batch, and closes in order."""
    with World() as world:
        transport = _Transport()
        carrier = world.within(SocketCarrier, lambda _: world.new_server())
        world.within(carrier.connection_made, transport)  # type: ignore[arg-type]
        world.loop.step()
        for piece in _pieces(_framed(CLIENT_HELLO) + data, cuts):
            if not transport.is_closed:
                world.within(carrier.data_received, piece)
                assert len(carrier._rest) <= LENGTH + (1 << 20)
            world.loop.step()
        world.within(carrier.connection_lost, None)
        world.settle()
        _nothing_is_left(world)


def _framed(batch: bytes) -> bytes:
    return len(batch).to_bytes(LENGTH, "little") + batch


def _pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(places) if start < stop]


class _Transport:
    """Takes what is written, and remembers that it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close


def _feed_all(world: World, wire: Wire, batches: Sequence[bytes], turns: Sequence[int]) -> None:
    for number, batch in enumerate(batches):
        if wire.is_closed:
            return
        world.feed(wire, memoryview(batch))
        for _ in range(turns[number % len(turns)] if turns else 0):
            world.loop.step()
        if number % 3 == 0 and not wire.is_closed:
            world.write(wire)


def _nothing_is_left(world: World) -> None:
    assert world.host.begun == world.host.ended
    assert not world.server._running.live
    assert not world.server._inbox
    assert not world.desk.held


def _no_call_waits(world: World, calls: Sequence[Any]) -> None:
    kept = [call for call, *_ in world.keeper.given_back] + world.keeper.elsewhere
    assert world.client.state is State.CLOSED
    assert not world.client._in_flight
    assert not world.client._waiting.count
    for call in calls:
        assert call.is_done or kept.count(call) == 1


_TURNS = st.lists(st.integers(0, 3), max_size=3)
_CUTS = st.lists(st.integers(0, 400), max_size=12)
_STREAMS = st.lists(
    st.one_of(CLIENT_BATCHES.map(_framed), CLIENT_BATCHES.map(_framed), st.binary(max_size=40)),
    max_size=6,
).map(b"".join)

PROPERTIES: Final[dict[str, tuple[Callable[..., None], tuple[Any, ...]]]] = {
    "readers": (nothing_but_lane_errors, (st.one_of(CLIENT_BATCHES, SERVER_BATCHES, HELLOS),)),
    "server": (a_server_bears, (st.lists(CLIENT_BATCHES, max_size=8), _TURNS)),
    "server hello": (a_server_bears_a_hello, (HELLOS,)),
    "client": (a_client_bears, (st.lists(SERVER_BATCHES, max_size=8), _TURNS)),
    "client hello": (a_client_bears_a_hello, (HELLOS,)),
    "socket": (a_socket_bears, (_STREAMS, _CUTS)),
}
ROUND: Final = 100


def check(name: str, examples: int) -> None:
    """Try a property with so many examples, and throw away what they left from time to time."""
    holds, what = PROPERTIES[name]
    for _ in range(0, examples, ROUND):

        @settings(max_examples=min(examples, ROUND), deadline=None, database=None)
        @given(st.tuples(*what))
        def holds_for(drawn: tuple[Any, ...]) -> None:
            holds(*drawn)

        holds_for()
        gc.collect()
