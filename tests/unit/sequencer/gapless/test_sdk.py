"""Numbers as a client of the SDK takes them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from engine.sequencer.v1 import gapless_pb2 as pb
from sequencer.sdk import GaplessSequence, NumbersLost, SequenceEmpty, SequencerUnavailable


class Server:
    """A sequencer that answers each request id once, and may fail to tell."""

    def __init__(self) -> None:
        self.position = 0
        self.states: dict[int, str] = {}
        self.answers: dict[str, Any] = {}
        self.requests: list[Any] = []
        self.silences = 0
        self.loses: set[int] = set()
        self.number = 0

    def call(self, key: str, method: Any, request: Any, *, timeout_s: float) -> Any:
        """Serve a request; the answer is lost as often as there are silences."""
        assert key == request.name
        assert timeout_s > 0
        self.requests.append(request)
        if request.request_id not in self.answers:
            self.number += 1
            self.answers[request.request_id] = getattr(self, method.__name__)(request)
        if self.silences:
            self.silences -= 1
            raise SequencerUnavailable("no answer came")
        return self.answers[request.request_id]

    def _reserve(self, request: pb.ReserveNumbersRequest) -> pb.ReserveNumbersResponse:
        numbers = range(self.position + 1, self.position + 1 + request.count)
        self.position += request.count
        self.states |= dict.fromkeys(numbers, "reserved")
        answer = pb.ReserveNumbersResponse()
        held = answer.reservation
        held.reservation = held.token = self.number
        held.numbers.extend(numbers)
        held.witness.number, held.witness.position = self.number, self.position
        return answer

    def _confirm(self, request: pb.ConfirmNumbersRequest) -> pb.ConfirmNumbersResponse:
        if self.loses & {*request.numbers}:
            raise NumbersLost("somebody else has them")
        self.states |= dict.fromkeys(request.numbers, "confirmed")
        answer = pb.ConfirmNumbersResponse(numbers=request.numbers)
        answer.witness.number, answer.witness.position = self.number, self.position
        return answer

    def _release(self, request: pb.ReleaseNumbersRequest) -> pb.ReleaseNumbersResponse:
        self.states |= dict.fromkeys(request.numbers, "released")
        answer = pb.ReleaseNumbersResponse(numbers=request.numbers)
        answer.witness.number, answer.witness.position = self.number, self.position
        return answer


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def numbers(server: Server) -> GaplessSequence:
    return GaplessSequence("loan.contract", server, lambda: "c1", sleep=lambda _: None)


def test_a_number_is_confirmed_at_the_end_of_its_block(
    server: Server, numbers: GaplessSequence
) -> None:
    """Within the block it is reserved; several come as a tuple."""
    with numbers.reserve() as number:
        assert (number, server.states) == (1, {1: "reserved"})
    with numbers.reserve(2) as some:
        assert some == (2, 3)

    assert server.states == dict.fromkeys([1, 2, 3], "confirmed")


def test_an_exception_gives_the_number_back(server: Server, numbers: GaplessSequence) -> None:
    """It goes on to the caller, also when the sequencer cannot be reached then."""
    with pytest.raises(ValueError, match="no credit"), numbers.reserve():
        raise ValueError("no credit")
    assert server.states == {1: "released"}

    def fail_in_silence() -> None:
        with GaplessSequence("a", server, lambda: "c1", timeout_s=0.1).reserve():
            server.silences = 1_000
            raise ValueError("no credit")

    with pytest.raises(ValueError, match="no credit"):
        fail_in_silence()


def test_a_block_settles_its_numbers_in_parts(server: Server, numbers: GaplessSequence) -> None:
    """What it has settled itself is left as it is."""
    reservation = numbers.reserve(4)
    with reservation as (first, second, *_):
        reservation.confirm(first)
        reservation.release(second)

    assert server.states == {1: "confirmed", 2: "released", 3: "confirmed", 4: "confirmed"}


def test_a_lost_answer_is_asked_for_again_by_the_same_request(
    server: Server, numbers: GaplessSequence
) -> None:
    """So it costs no number, and confirms none twice."""
    server.silences = 2
    claim = numbers.take(2)
    server.silences = 1
    numbers.confirm(claim)

    assert claim.numbers == (1, 2)
    assert [*Counter(request.request_id for request in server.requests).values()] == [3, 2]
    for request_id in server.answers:
        same = [one for one in server.requests if one.request_id == request_id]
        assert all(one == same[0] for one in same)


def test_silence_ends_with_an_error(server: Server) -> None:
    """After the client's time nobody knows what became of the call."""
    server.silences = 1_000
    numbers = GaplessSequence("a", server, lambda: "c1", timeout_s=0.1)

    with pytest.raises(SequencerUnavailable):
        numbers.take()


def test_numbers_that_went_to_somebody_else_are_told_of(
    server: Server, numbers: GaplessSequence
) -> None:
    """The block ends with the error: what used the number must be undone."""
    with pytest.raises(NumbersLost), numbers.reserve() as number:
        server.loses.add(number)


def test_each_call_carries_the_newest_witness(server: Server, numbers: GaplessSequence) -> None:
    """That of the last answer, whatever it answered."""
    with numbers.reserve(2):
        pass
    with numbers.reserve():
        pass

    told = [(one.HasField("last"), one.last.number, one.last.position) for one in server.requests]
    assert told == [(False, 0, 0), (True, 1, 2), (True, 2, 2), (True, 3, 3)]


async def test_a_task_awaits_its_numbers(server: Server, numbers: GaplessSequence) -> None:
    """`async with` does on a loop what `with` does elsewhere; there `with` refuses to block."""
    async with numbers.reserve() as number:
        assert number == 1
    reservation = numbers.reserve(2)
    async with reservation as (first, _):
        await reservation.release_async(first)
    with pytest.raises(ValueError, match="no credit"):
        async with numbers.reserve():
            raise ValueError("no credit")

    assert server.states == {1: "confirmed", 2: "released", 3: "confirmed", 4: "released"}
    with pytest.raises(SequenceEmpty), numbers.reserve():
        pass


def test_a_claim_outlives_its_process(server: Server, numbers: GaplessSequence) -> None:
    """Another client confirms or releases by what was kept of it."""
    kept = numbers.take(3)
    other = GaplessSequence("loan.contract", server, lambda: "c2")
    other.confirm(kept, [1])
    other.release(kept, [2, 3])

    assert server.states == {1: "confirmed", 2: "released", 3: "released"}


@pytest.mark.parametrize("count", [0, -1, 1_001])
def test_a_reservation_has_a_bound(numbers: GaplessSequence, count: int) -> None:
    """At most 1,000 numbers, at least one."""
    with pytest.raises(ValueError, match="between 1 and 1000"):
        numbers.reserve(count)


def test_what_is_not_entered_holds_nothing(numbers: GaplessSequence) -> None:
    """The numbers are reserved by the block."""
    with pytest.raises(RuntimeError, match="before the block"):
        _ = numbers.reserve().claim
