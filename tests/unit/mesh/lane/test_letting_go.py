"""What is gone is let go: timers may last longer, buffers must not."""

from __future__ import annotations

from tests.unit.mesh.lane.world import World


def test_a_lane_that_is_gone_lets_go_of_its_connection() -> None:
    """The buffers of TLS are large, and the timer of the hello holds the lane for a while."""
    with World() as world:
        world.settle()
        world.cut()
        assert world.server._carrier is not world.down
