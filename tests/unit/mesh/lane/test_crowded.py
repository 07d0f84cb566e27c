"""Calls that wait behind others: those that no answer would reach in time are not sent."""

from __future__ import annotations

import time

import grpc
import pytest

from mesh.lane.call import UnaryCall
from mesh.lane.composer import MARGIN, Composer
from mesh.lane.waiting import Waiting

ANSWER_S = 10.0
WINDOW = 2
PATH = "/x.X/Y"


def call(left_s: float) -> UnaryCall:
    return UnaryCall(PATH, b"", None, time.monotonic() + left_s)


class Desk:
    """Calls that wait, and those that were sent."""

    def __init__(self) -> None:
        self.composer = Composer(lambda _: None)
        self.waiting = Waiting()
        self.sent: dict[int, UnaryCall] = {}

    def ask(self, *left_s: float) -> list[UnaryCall]:
        calls = [call(each) for each in left_s]
        for each in calls:
            assert self.waiting.add(each)
        return calls

    def send(self) -> list[UnaryCall]:
        """Send what has room; all that was sent before is answered."""
        self.sent.clear()
        self.composer.batch(self.waiting, self.sent, WINDOW)
        return [*self.sent.values()]


def test_a_call_without_time_for_an_answer_makes_room_for_those_who_have_it() -> None:
    """It fails at once, and says why; the server does not work for nobody."""
    desk = Desk()
    desk.composer.crowded(ANSWER_S)
    late, good, better = desk.ask(MARGIN * ANSWER_S - 1, MARGIN * ANSWER_S + 5, 60)
    assert desk.send() == [good, better]
    assert late.is_done
    assert late._code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "in time" in late._details


def test_a_call_that_has_no_time_at_all_is_late() -> None:
    """That is another end: nobody would have answered it."""
    desk = Desk()
    (gone,) = desk.ask(-1)
    assert desk.send() == []
    assert gone._code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_when_none_waits_any_more_the_long_answers_are_forgotten() -> None:
    """What was slow while many waited says nothing of a call that is alone."""
    desk = Desk()
    desk.composer.crowded(ANSWER_S)
    desk.ask(60)
    desk.send()
    (short,) = desk.ask(1)
    assert desk.send() == [short]


@pytest.mark.parametrize(("answers", "sent"), [((10.0, 0.0, 0.0, 0.0, 0.0, 0.0), 1), ((10.0,), 0)])
def test_it_is_the_average_of_late_answers_that_counts(
    answers: tuple[float, ...], sent: int
) -> None:
    """A server that answers faster again is trusted again while calls still wait."""
    desk = Desk()
    for seconds in answers:
        desk.composer.crowded(seconds)
    desk.ask(6)
    assert len(desk.send()) == sent
