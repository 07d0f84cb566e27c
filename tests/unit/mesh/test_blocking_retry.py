"""Which calls are sent again when a target is gone."""

from __future__ import annotations

import grpc
import pytest

from mesh.blocking import BlockingChannel
from mesh.lane import Endpoint
from tests.unit.mesh.blocking_server import ONCE, REPEATABLE, serving

NOBODY = "127.0.0.1:1"


def test_an_unsent_call_goes_to_another_target() -> None:
    """Whatever its method: nobody has seen it. The target that is down comes last from then on."""
    with serving() as server, BlockingChannel([NOBODY, server.address]) as channel:
        method = channel.unary_unary(f"{ONCE}Way")
        assert [method(b"") for _ in range(6)] == [b"plain"] * 6
    assert server.seen["Way"] == 6


def test_a_lane_that_is_down_is_passed_over() -> None:
    """Calls go by the lane of a target that is up."""
    nobody = Endpoint(NOBODY, ("unix:/nobody/is.here",))
    with serving() as server, BlockingChannel([nobody, server.endpoint]) as channel:
        method = channel.unary_unary(f"{ONCE}Way")
        answers = [method(b"", timeout=30) for _ in range(10)]
    assert set(answers) <= {b"lane", b"plain"}
    assert answers[-3:] == [b"lane"] * 3


def test_a_call_that_may_have_run_is_sent_again_where_the_contract_lets_it() -> None:
    """The first server dies with it, the second answers."""
    with serving() as first, serving() as second:
        targets = [first.endpoint]
        with BlockingChannel(lambda: targets[:], timeout_s=30) as channel:
            future = channel.unary_unary(REPEATABLE).future(b"Hold")
            assert first.holding.wait(30)
            targets[:] = [second.endpoint]
            assert channel.unary_unary(f"{ONCE}Way")(b"") == b"lane"
            first.stop()
            assert second.holding.wait(30)
            future.cancel()
    assert (first.seen["Hold"], second.seen["Hold"]) == (1, 1)


def test_other_calls_that_may_have_run_fail() -> None:
    """They are not sent a second time; what is called next goes to the other target."""
    with (
        serving() as first,
        serving() as second,
        BlockingChannel([first.endpoint, second.endpoint]) as channel,
    ):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(f"{ONCE}Die")(b"", timeout=30)
        assert channel.unary_unary(f"{ONCE}Way")(b"", timeout=30) == b"lane"
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert first.seen["Die"] + second.seen["Die"] == 1
