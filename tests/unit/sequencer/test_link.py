"""Calls find a server that answers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2_grpc as pb_grpc
from sequencer.sdk import (
    GrpcRangeSource,
    LeaseRequest,
    Link,
    LocalRangeSource,
    Sequencer,
    SequencerError,
    SequencerUnavailable,
    Tail,
    Witness,
)
from sequencer.sdk import _link as link_module

TIMEOUT_S = 10.0


@dataclass
class Server:
    """Answers what it is asked with its name; may refuse. Notes what it hears."""

    address: str = ""
    refusal: grpc.StatusCode | None = None
    reason: str = ""
    names: list[str] = field(default_factory=list)
    leases: list[pb.LeaseRangeRequest] = field(default_factory=list)
    returns: list[pb.ReturnRangeRequest] = field(default_factory=list)

    def get(
        self, request: pb.GetSequenceRequest, context: grpc.ServicerContext
    ) -> pb.GetSequenceResponse:
        self.names.append(request.name)
        if self.refusal is not None and self.reason:
            status = status_pb2.Status(code=self.refusal.value[0], message="told to")
            status.details.add().Pack(error_details_pb2.ErrorInfo(reason=self.reason))
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
        if self.refusal is not None:
            context.abort(self.refusal, "told to")
        return pb.GetSequenceResponse(sequence=pb.Sequence(name=self.address))

    def lease(self, request: pb.LeaseRangeRequest, _: object) -> pb.LeaseRangeResponse:
        self.leases.append(request)
        witness = pb.Witness(number=4, mark=5, epoch=6, position=70)
        return pb.LeaseRangeResponse(
            lease=pb.Lease(lease_number=4, first=-10, size=3, increment=-2, witness=witness)
        )

    def give_back(self, request: pb.ReturnRangeRequest, _: object) -> pb.ReturnRangeResponse:
        self.returns.append(request)
        return pb.ReturnRangeResponse()

    def handler(self) -> grpc.GenericRpcHandler:
        """All of it, for a grpc server."""
        methods: dict[str, tuple[Callable[..., Message], type[Message]]] = {
            "GetSequence": (self.get, pb.GetSequenceRequest),
            "LeaseRange": (self.lease, pb.LeaseRangeRequest),
            "ReturnRange": (self.give_back, pb.ReturnRangeRequest),
        }
        return grpc.method_handlers_generic_handler(
            "engine.sequencer.v1.SequencerService",
            {
                name: grpc.unary_unary_rpc_method_handler(
                    method, request.FromString, lambda answer: answer.SerializeToString()
                )
                for name, (method, request) in methods.items()
            },
        )


@contextmanager
def serving() -> Iterator[Server]:
    """A server in threads of this process."""
    server, running = Server(), grpc.server(ThreadPoolExecutor(4))
    running.add_generic_rpc_handlers((server.handler(),))
    server.address = f"127.0.0.1:{running.add_insecure_port('127.0.0.1:0')}"
    running.start()
    yield server
    running.stop(None).wait()


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """Three servers."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving()) for _ in range(3)]


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of somebody who takes connections and says nothing, as a stopped process does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def linked(*targets: str) -> Iterator[Link]:
    """A link to the targets."""
    link = Link(lambda: targets)
    yield link
    link.close()


def get(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[pb.GetSequenceRequest, pb.GetSequenceResponse]:
    return pb_grpc.SequencerServiceStub(channel).GetSequence


def asked(link: Link, key: str) -> str:
    """Who answered."""
    request = pb.GetSequenceRequest(name=key)
    return link.call(key, get, request, timeout_s=TIMEOUT_S).sequence.name


def test_one_server_answers_for_a_key(servers: list[Server]) -> None:
    """Keys are spread over the servers, in whatever order those are found."""
    addresses = [server.address for server in servers]
    with linked(*addresses) as link, linked(*reversed(addresses)) as other:
        found = {f"k{number}": asked(link, f"k{number}") for number in range(60)}
        assert {key: asked(other, key) for key in found} == found

    assert set(found.values()) == set(addresses)


def test_a_dead_server_is_passed_over(servers: list[Server]) -> None:
    """The next one answers; keys of the others stay where they are."""
    living = [server.address for server in servers]
    with linked(*living) as link, linked(*living, "127.0.0.1:1") as wider:
        for number in range(30):
            assert asked(wider, f"k{number}") == asked(link, f"k{number}")


def test_a_silent_server_costs_one_attempt(
    servers: list[Server], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given `ATTEMPT_S` once, and then asked after the others for a while."""
    monkeypatch.setattr(link_module, "ATTEMPT_S", 0.05)
    attempts: list[str] = []
    attempt = Link._attempt

    def noted(self: Link, target: str, *rest: object) -> object:
        attempts.append(target)
        return attempt(self, target, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Link, "_attempt", noted)
    with linked(silent, servers[0].address) as link:
        assert {asked(link, f"k{number}") for number in range(20)} == {servers[0].address}

    assert attempts.count(silent) == 1


def test_a_refusal_is_not_asked_of_another(servers: list[Server]) -> None:
    """What the client may not do no server does."""
    for server in servers:
        server.refusal = grpc.StatusCode.PERMISSION_DENIED
    with (
        linked(*(server.address for server in servers)) as link,
        pytest.raises(SequencerError, match="told to") as caught,
    ):
        asked(link, "k")

    assert type(caught.value) is SequencerError
    assert sum(len(server.names) for server in servers) == 1


def test_a_server_that_answers_is_not_avoided(servers: list[Server]) -> None:
    """Its store is away, say: another is asked now, and it itself the next time."""
    with linked(*(server.address for server in servers)) as link:
        first = asked(link, "k")
        (ranked,) = [server for server in servers if server.address == first]
        ranked.refusal, ranked.reason = grpc.StatusCode.UNAVAILABLE, "STORE_AWAY"
        assert asked(link, "k") != first
        ranked.refusal = None
        assert asked(link, "k") == first


def test_contention_is_not_carried_to_other_servers(servers: list[Server]) -> None:
    """That would add to it; the caller tries again in a moment."""
    for server in servers:
        server.refusal, server.reason = grpc.StatusCode.UNAVAILABLE, "SEQUENCE_CONTENDED"
    with (
        linked(*(server.address for server in servers)) as link,
        pytest.raises(SequencerUnavailable),
    ):
        asked(link, "k")

    assert sum(len(server.names) for server in servers) == 1


def test_a_quota_that_is_used_up_is_a_refusal(servers: list[Server]) -> None:
    """Trying again before the next day is of no use."""
    servers[0].refusal, servers[0].reason = grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED"
    with linked(servers[0].address) as link, pytest.raises(SequencerError) as caught:
        asked(link, "k")

    assert type(caught.value) is SequencerError


def test_when_nobody_answers_that_is_told() -> None:
    """All servers are tried once; it may be better in a moment."""
    with linked("127.0.0.1:1", "127.0.0.1:2") as link, pytest.raises(SequencerUnavailable):
        asked(link, "k")
    with linked() as link, pytest.raises(SequencerUnavailable, match="registered"):
        asked(link, "k")


def test_servers_come_and_go(servers: list[Server]) -> None:
    """Targets are asked for at each call; channels to those that went are closed."""
    targets = [servers[0].address]
    link = Link(lambda: targets)
    assert asked(link, "k") == servers[0].address
    targets[:] = [servers[1].address]
    assert asked(link, "k") == servers[1].address

    assert set(link._open._channels) == {servers[1].address}
    link.close()
    assert asked(link, "k") == servers[1].address
    link.close()


def test_threads_share_a_link(servers: list[Server]) -> None:
    """Callers of several threads are answered while the set of servers changes."""
    targets = [server.address for server in servers]
    link, failed = Link(lambda: tuple(targets)), list[BaseException]()

    def work(number: int) -> None:
        try:
            for turn in range(50):
                asked(link, f"{number}.{turn}")
        except SequencerError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        targets.append(targets.pop(0))
        del targets[2:]
        targets.append(next(s.address for s in servers if s.address not in targets))
    for thread in threads:
        thread.join()
    link.close()

    assert not failed


def test_a_child_opens_channels_of_its_own(servers: list[Server]) -> None:
    """Those of the parent are never closed by it."""
    with linked(servers[0].address) as link:
        asked(link, "k")
        pid = os.fork()
        if not pid:
            mine = link._channels()
            os._exit(0 if mine.pid == os.getpid() and link._abandoned else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert asked(link, "k") == servers[0].address


def test_a_lease_goes_over_the_wire(servers: list[Server]) -> None:
    """Witness, kind, increment and tail are told and heard."""
    source = GrpcRangeSource(servers[0].address)
    last = Witness(number=1, mark=2, epoch=3, position=4)
    request = LeaseRequest(name="a.b", client_id="c", size=9, last=last, strict=True)

    lease = source.lease(request, timeout_s=TIMEOUT_S)
    tail = Tail(name="a.b", client_id="c", lease_number=4, mark=5, used=2, lost=1)
    source.give_back(tail, timeout_s=TIMEOUT_S)
    source.close()

    assert lease.ids == range(-10, -16, -2)
    assert lease.witness == Witness(number=4, mark=5, epoch=6, position=70)
    (heard,), (returned,) = servers[0].leases, servers[0].returns
    assert (heard.last.number, heard.last.mark, heard.last.epoch, heard.last.position) == (
        1,
        2,
        3,
        4,
    )
    assert heard.kind == pb.SEQUENCE_KIND_STRICT
    assert (returned.lease_number, returned.mark) == (4, 5)
    assert (returned.used, returned.lost) == (2, 1)


def test_a_client_has_a_link_when_its_source_does() -> None:
    """Who makes other calls to the sequencer shares its connections."""
    with Sequencer("127.0.0.1:1") as sequencer:
        assert isinstance(sequencer.link, Link)
    with Sequencer(LocalRangeSource()) as sequencer, pytest.raises(SequencerError, match="source"):
        _ = sequencer.link
