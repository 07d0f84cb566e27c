"""A lane against a model: whatever the order of things, each call runs and ends once at most."""

from __future__ import annotations

import importlib
from collections import defaultdict
from typing import Any
from unittest import mock

import grpc
import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from mesh.lane import blocks
from mesh.lane.blocks import Shared
from mesh.lane.call import UnaryCall
from mesh.lane.frames import FRAGMENT, MAX_REQUEST, Kind, client_batch, server_batch
from mesh.lane.keeper import State
from tests.unit.mesh.lane.world import ECHO, HOLD, MISSING, STREAMS, Wire, World

WINDOW = 6
MAX_UNSENT = 3 * FRAGMENT
MAX_BLOCKS = 3
SIZES = st.sampled_from([0, 1, 200, FRAGMENT - 1, FRAGMENT, FRAGMENT + 1, 5 * FRAGMENT])
server = importlib.import_module("mesh.lane.server")  # the package has a function of that name


STEPS = ["exchange", "client_writes", "server_writes", "server_reads", "client_reads", "turn"]


class Lane(RuleBasedStateMachine):
    """Calls, answers and the wire are moved in any order; the window, the bounds are small."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = [
            mock.patch.object(server, "MAX_UNSENT", MAX_UNSENT),
            mock.patch.object(server, "MAX_BLOCKS", MAX_BLOCKS),
            mock.patch.object(blocks, "MAX_BLOCKS", MAX_BLOCKS),
        ]
        for patch in self.patches:
            patch.start()
        self.world = World(window=WINDOW)
        self.shared = [Shared([("user", f"token of {n}")]) for n in range(5)]
        self.calls: dict[bytes, UnaryCall] = {}
        self.expected: dict[bytes, bytes] = {}
        self.endings: defaultdict[bytes, list[str]] = defaultdict(list)
        self.unanswered: set[int] = set()
        self.window = 0
        self.go_away: int | None = None
        self.ids: dict[int, bytes] = {}
        self.is_over = False

    @initialize(holds=st.integers(1, 9), echoes=st.integers(0, 2), moves=st.integers(2, 8))
    def begin(self, holds: int, echoes: int, moves: int) -> None:
        """Most of what may go wrong does so while calls are under way."""
        for path in [HOLD] * holds + [ECHO] * echoes:
            self._submit(path, 1e9, 0, 0)
        for _ in range(moves):
            self.exchange()

    # What callers do.

    @precondition(lambda self: self._takes_calls())
    @rule(
        path=st.sampled_from([HOLD, HOLD, HOLD, ECHO, MISSING, STREAMS]),
        left_s=st.sampled_from([0.0, 1.0, 5.0, 1e9]),
        shared=st.integers(0, 5),
        size=SIZES,
        times=st.sampled_from([1, 1, 2, 5, 10]),
    )
    def submit(self, path: str, left_s: float, shared: int, size: int, times: int) -> None:
        for _ in range(times):
            self._submit(path, left_s, (shared + times) % 6, size)

    def _submit(self, path: str, left_s: float, shared: int, size: int) -> None:
        request = f"{len(self.calls)} {path} ".encode()
        request += b"." * (min(size, MAX_REQUEST) - len(request))
        block = self.shared[shared] if shared < len(self.shared) else None
        call = UnaryCall(path, request, None, self.world.clock.now + left_s, shared=block)
        call.add_done_callback(lambda call: self._ended(request, call))
        self.calls[request] = call
        self.expected[request] = request
        self.world.within(self.world.client.submit, call)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        self.world.within(self._one(data, list(self.calls.values())).cancel)

    def _takes_calls(self) -> bool:
        return self.world.client.state in {State.OPENING, State.OPEN}

    def _ended(self, request: bytes, call: UnaryCall) -> None:
        self.endings[request].append("ended")

    @staticmethod
    def _one(data: Any, things: list[Any]) -> Any:
        return things[data.draw(st.integers(0, len(things) - 1))]

    # What handlers do.

    @precondition(lambda self: self._held())
    @rule(data=st.data(), size=SIZES, fill=st.integers(0, 255), is_well=st.booleans())
    def answer(self, data: Any, size: int, fill: int, is_well: bool) -> None:
        request = self._one(data, self._held())
        if is_well:
            self.expected[request] = bytes([fill]) * size
            self.world.within(self.world.desk.tell, request, self.expected[request])
        else:
            self.world.within(self.world.desk.refuse, request, (("t-bin", bytes(size % 200)),))

    def _held(self) -> list[bytes]:
        return [name for name, told in self.world.desk.held.items() if not told.done()]

    # What the wire does.

    @rule(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=8))
    def move(self, steps: list[str]) -> None:
        for step in steps:
            getattr(self, step)()

    def exchange(self) -> None:
        """Everything moves on by one step."""
        for step in STEPS[1:]:
            getattr(self, step)()

    def client_writes(self) -> None:
        if self.world.write(self.world.up):
            self._note_calls(self.world.up.sent[-1])

    def server_writes(self) -> None:
        self.world.write(self.world.down)

    def server_reads(self) -> None:
        self.world.deliver(self.world.up)

    def client_reads(self) -> None:
        self._deliver_down()

    def turn(self) -> None:
        self.world.loop.step()

    def _deliver_down(self) -> None:
        wire = self.world.down
        if wire.sent and not self.world.up.is_closed:
            self._note_answers(wire.sent[0])
        self.world.deliver(wire)

    def _note_calls(self, batch: bytes) -> None:
        if not self.ids and not self.unanswered and self._is_hello(batch):
            return
        for number, *_, request in client_batch(batch)[2]:
            self.unanswered.add(number)
            self.ids[number] = request
            assert len(self.unanswered) <= self.window
        assert self.go_away is None or not client_batch(batch)[2]

    def _note_answers(self, batch: bytes) -> None:
        if self._is_hello(batch):
            return
        _, replies, endings, control = server_batch(batch)
        for frame in (*replies, *endings):
            self.unanswered.discard(frame[0])
        for kind, number, _ in control:
            if kind == Kind.CREDIT:
                self.window = number
            elif kind == Kind.GO_AWAY:
                self.go_away = number
                self.unanswered = {n for n in self.unanswered if n <= number}

    @staticmethod
    def _is_hello(batch: bytes) -> bool:
        return b"engine-lane" in batch[:16]

    # What loops and connections do.

    @rule(seconds=st.sampled_from([0.01, 0.7, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @precondition(lambda self: self.ids)
    @rule(how=st.sampled_from(["go away", "go away", "close", "cut", "nothing"]))
    def end(self, how: str) -> None:
        if how == "go away":
            self.world.within(self.world.server.go_away, "stopping")
        elif how == "close":
            self.world.within(self.world.client.close)
        elif how == "cut":
            self.world.cut()

    # What holds at any time.

    @invariant()
    def nothing_runs_twice(self) -> None:
        assert all(times == 1 for times in self.world.desk.ran.values())

    @invariant()
    def nothing_ends_twice(self) -> None:
        assert all(len(endings) == 1 for endings in self.endings.values())
        kept = [call.request for call, *_ in self.world.keeper.given_back]
        kept += [call.request for call in self.world.keeper.elsewhere]
        for request in kept:
            assert kept.count(request) == 1
            assert request not in self.endings or self._was_cancelled_later(request)

    def _was_cancelled_later(self, request: bytes) -> bool:
        return self.calls[request].cancelled()  # by its caller, while nobody held it

    @invariant()
    def what_was_not_sent_did_not_run(self) -> None:
        for call, sent, _ in self.world.keeper.given_back:
            assert sent or call.request not in self.world.desk.ran
        for call in self.world.keeper.elsewhere:
            assert call.request not in self.world.desk.ran

    @invariant()
    def the_window_is_kept_at_both_ends(self) -> None:
        lane = self.world.server
        assert len(lane._running.live) + len(lane._inbox) <= WINDOW
        assert len(self.world.client._in_flight) <= WINDOW

    @invariant()
    def answers_are_whole(self) -> None:
        for request, call in self.calls.items():
            if call.is_done and call._code is grpc.StatusCode.OK:
                assert call.reply == self.expected[request]
                assert self.world.desk.ran[request] == 1

    @invariant()
    def no_rule_is_broken(self) -> None:
        assert not self.world.loop.problems
        reasons = {reason for *_, reason in self.world.keeper.given_back}
        allowed = {"stopping", "closed", "the wire was cut", "the wire was closed"}
        assert reasons <= allowed | {"the server is silent"}

    # What holds in the end.

    def teardown(self) -> None:
        try:
            self._come_to_rest()
            self._nothing_is_left()
        finally:
            self.world.close()
            for patch in self.patches:
                patch.stop()

    def _come_to_rest(self) -> None:
        for _ in range(20_000):
            for request in self._held():
                self.expected[request] = b"at last"
                self.world.within(self.world.desk.tell, request, b"at last")
            moved = self._moves()
            if not moved and not self._held():
                return
        raise AssertionError("it does not come to rest")

    def _moves(self) -> bool:
        world = self.world
        moved = world.write(world.up)
        if moved:
            self._note_calls(world.up.sent[-1])
        moved |= world.write(world.down)
        moved |= bool(world.up.sent or world.down.sent or self._is_closing(world.up))
        world.deliver(world.up)
        self._deliver_down()
        busy = bool(world.loop._ready)  # type: ignore[attr-defined]
        world.loop.step()
        return moved or busy

    def _is_closing(self, wire: Wire) -> bool:
        other = self.world.down
        return (wire.is_closed or other.is_closed) and not (wire.is_detached and other.is_detached)

    def _nothing_is_left(self) -> None:
        client, lane, host = self.world.client, self.world.server, self.world.host
        self.nothing_ends_twice()
        self.what_was_not_sent_did_not_run()
        self.answers_are_whole()
        self.no_rule_is_broken()
        kept = [call.request for call, *_ in self.world.keeper.given_back]
        kept += [call.request for call in self.world.keeper.elsewhere]
        for request, call in self.calls.items():
            assert call.is_done or request in kept
        assert not client._in_flight
        assert not client._waiting.count
        assert not lane._running.live
        assert not lane._inbox
        assert lane._outbox.unsent == 0 or lane.is_closed
        assert host.begun == host.ended
        if self.go_away is None and client.state is State.OPEN:
            assert set(client._composer.blocks._ids.values()) | {0} == set(lane._blocks)
            assert self.window == WINDOW


TestLane = Lane.TestCase
TestLane.settings = hypothesis.settings(max_examples=150, stateful_step_count=40)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_lane_holds_to_the_model_for_long() -> None:
    """The same with many more steps."""
    settings = hypothesis.settings(max_examples=600, stateful_step_count=120)
    hypothesis.stateful.run_state_machine_as_test(Lane, settings=settings)
