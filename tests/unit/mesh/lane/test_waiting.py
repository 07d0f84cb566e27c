"""Calls that wait for a place: in order, bounded, and without those that have ended."""

from __future__ import annotations

from unittest import mock

from mesh.lane import waiting
from mesh.lane.call import UnaryCall
from mesh.lane.waiting import MAX_WAITING, MAX_WAITING_BYTES, Waiting


def call(size: int = 0) -> UnaryCall:
    return UnaryCall("/t.T/Do", bytes(size), None, float("inf"))


def end(queue: Waiting, ended: UnaryCall) -> None:
    """As when a caller gives up a call that waits."""
    ended.late()
    queue.ended(ended)


def test_calls_come_out_in_the_order_in_which_they_came() -> None:
    """Who waits longest is sent first."""
    queue, calls = Waiting(), [call() for _ in range(5)]
    assert all(map(queue.add, calls))
    assert [queue.pop() for _ in calls] == calls
    assert not queue.count


def test_so_many_calls_may_wait() -> None:
    """One more is refused."""
    queue = Waiting()
    with mock.patch.object(waiting, "MAX_WAITING", 3):
        assert [queue.add(call()) for _ in range(4)] == [True, True, True, False]
    assert MAX_WAITING > 3


def test_so_many_bytes_may_wait() -> None:
    """A request that is too much is refused, a smaller one is not."""
    queue = Waiting()
    with mock.patch.object(waiting, "MAX_WAITING_BYTES", 100):
        assert [queue.add(call(size)) for size in (60, 50, 40, 1)] == [True, False, True, False]
        queue.pop()
        assert queue.add(call(60))
    assert MAX_WAITING_BYTES > 100


def test_calls_that_have_ended_are_passed_over_and_do_not_count() -> None:
    """Neither in number nor in bytes."""
    queue, calls = Waiting(), [call(10) for _ in range(4)]
    for each in calls:
        queue.add(each)
    end(queue, calls[0])
    end(queue, calls[2])
    assert queue.count == 2
    assert list(queue) == [calls[1], calls[3]]
    with mock.patch.object(waiting, "MAX_WAITING_BYTES", 40):
        assert queue.add(call(20))
    assert queue.pop() is calls[1]
    assert queue.count == 2


def test_ended_calls_are_swept_out() -> None:
    """A queue that is never popped does not grow by calls that were given up."""
    queue, last = Waiting(), call()
    for _ in range(10_000):
        queue.add(given_up := call())
        end(queue, given_up)
    queue.add(last)
    assert len(queue._calls) < 200
    assert queue._bytes == 0
    assert queue.pop() is last


def test_clearing_answers_those_that_wait() -> None:
    """Those that have ended need no other way."""
    queue, calls = Waiting(), [call(10) for _ in range(3)]
    for each in calls:
        queue.add(each)
    end(queue, calls[1])
    assert queue.clear() == [calls[0], calls[2]]
    assert not queue.count
    assert queue._bytes == queue._ended == 0
