"""Which services there are."""

from __future__ import annotations

import subprocess
import sys

from cli import compose
from cli.names import LOADER, OPERATOR


def test_outside_parties_are_played_in_the_demo_alone() -> None:
    """In production nothing stands in for a carrier, and what is meant for one waits."""
    demo, production = compose.blueprints(demo=True), compose.blueprints(demo=False)
    assert demo.keys() - production.keys() == {"sms", "calls", "wecom-server"}
    assert production.keys() <= demo.keys()


def test_each_service_comes_after_those_it_needs() -> None:
    """So that starting them in this order needs no waiting in circles."""
    services = compose.blueprints(demo=True)
    started: set[str] = set()
    for name, blueprint in services.items():
        assert started.issuperset(blueprint.after)
        started.add(name)


def test_command_lines_of_this_machine_may_plan_what_outside_parties_do() -> None:
    """Nobody else may: no service has that right."""
    rights = compose.rights(compose.blueprints(demo=True))
    planners = {name for name, held in rights.items() if "simulator.plan" in held}
    assert planners == {LOADER, OPERATOR}


def test_who_embeds_everything_loads_neither_driver_nor_client() -> None:
    """The start of `make run` pays for no server that it does not use."""
    script = (
        "import sys; from cli import compose, up; compose.blueprints(demo=True); "
        "print({'asyncmy', 'redis', 'mesh.redis'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
