"""What is done to a mesh while it is called, and what is promised: one function each, one table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.pki import CA, Authority
from tests.fault.mesh_ground import Ground
from tests.fault.mesh_site import LEASE_S, TRUSTED

HURT_S: Final = LEASE_S + 2.0
"""Longer than a lease: the table changes as well."""
TAKEN_S: Final = 1.5
"""Within it all have taken files that were renewed."""
FLAPS: Final = 6
FLAP_S: Final = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is done, and how soon no call fails any more.

    Args:
        play: does it.
        within_s: from the last thing that it notes to the first second without a failed call;
            0: no call fails at all.
        is_far: whether who calls and who is called are on two hosts.
    """

    play: Callable[[Ground], None]
    within_s: float
    is_far: bool = False


# Endpoints.


def killed(ground: Ground) -> None:
    """A process of the service ends at once; later another one takes its place."""
    ground.note("kill")
    ground.victim.kill()
    ground.wait(HURT_S)
    ground.victim.start()


def stopped(ground: Ground) -> None:
    """A process does nothing any more, and its connections stand; later it goes on."""
    ground.note("stop")
    ground.victim.pause()
    ground.wait(HURT_S)
    ground.victim.resume()


def cut(ground: Ground) -> None:
    """Nothing gets through to a process or back; its lease goes on."""
    ground.note("cut")
    ground.weather("hold")
    ground.wait(HURT_S)
    ground.weather("fine")


def refused(ground: Ground) -> None:
    """Connections to a process are reset, and new ones too."""
    ground.note("refuse")
    ground.weather("refuse")
    ground.wait(HURT_S)
    ground.weather("fine")


def slow(ground: Ground) -> None:
    """All that goes to a process and back arrives late."""
    ground.note("slow")
    ground.weather("slow")
    ground.wait(HURT_S)
    ground.weather("fine")


def flapping(ground: Ground) -> None:
    """Connections to a process are reset and can be made again, time after time."""
    for _ in range(FLAPS):
        ground.note("refuse")
        ground.weather("refuse")
        ground.wait(FLAP_S)
        ground.weather("fine")
        ground.wait(FLAP_S)


# The registry.


def registry_killed(ground: Ground) -> None:
    """It is away for longer than a lease, and comes back with an empty table."""
    ground.note("kill registry")
    ground.registry.kill()
    ground.wait(HURT_S)
    ground.registry.start()
    ground.wait(HURT_S)


def registry_stopped(ground: Ground) -> None:
    """It stands still, its connections stand, and it goes on with a table that is old."""
    ground.note("stop registry")
    ground.registry.pause()
    ground.wait(HURT_S)
    ground.registry.resume()
    ground.wait(HURT_S)


def registry_restarted(ground: Ground) -> None:
    """It ends in good order and begins again."""
    ground.note("restart registry")
    ground.registry.stop()
    ground.registry.start()
    ground.wait(HURT_S)


def registry_wiped(ground: Ground) -> None:
    """It loses its table and its routes at once, and a service changes before all are back."""
    ground.note("wipe registry")
    ground.registry.kill()
    shutil.rmtree(ground.site.folder / "registry", ignore_errors=True)
    ground.registry.start()
    ground.victim.stop()
    ground.victim.start()
    ground.wait(HURT_S)


# What operators do.


def replaced(ground: Ground) -> None:
    """All processes of the service are drained and replaced, one by one."""
    for ledger in ground.ledgers:
        ground.note("replace")
        ledger.stop()
        ledger.start()


def certificates(ground: Ground) -> None:
    """Another authority takes the place of the old one, which nobody believes in the end.

    All believe both, then show certificates of the new one, then believe that alone; at last
    every connection is made anew.
    """
    site = ground.site
    old, new = (site.pki / CA).read_bytes(), Authority.create(site.folder / "pki-2")
    site.certify(new)
    fresh = (new.folder / CA).read_bytes()
    ground.note("believe both")
    _put(site.pki / TRUSTED, old + fresh)
    ground.wait(TAKEN_S)
    ground.note("renew")
    for path in sorted({*new.folder.glob("*.pem"), *new.folder.glob("*.key")}):
        if not path.name.startswith(Path(CA).stem):
            _put(site.pki / path.name, path.read_bytes())
    ground.wait(TAKEN_S)
    ground.note("believe the new one")
    _put(site.pki / TRUSTED, fresh)
    ground.wait(TAKEN_S)
    ground.registry.kill()
    ground.registry.start()
    replaced(ground)


def _put(path: Path, content: bytes) -> None:
    """Replace a file in one step, readable to its owner alone."""
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.replace(path)


KILLED_S: Final = 0.5
SILENT_S: Final = 3.0
"""What is promised of endpoints that are gone, and of those that only say nothing."""

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "mesh-killed": Scenario(play=killed, within_s=KILLED_S),
    "mesh-killed-far": Scenario(play=killed, within_s=KILLED_S, is_far=True),
    "mesh-stopped": Scenario(play=stopped, within_s=SILENT_S),
    "mesh-stopped-far": Scenario(play=stopped, within_s=SILENT_S, is_far=True),
    "mesh-cut": Scenario(play=cut, within_s=SILENT_S, is_far=True),
    "mesh-refused": Scenario(play=refused, within_s=KILLED_S, is_far=True),
    "mesh-slow": Scenario(play=slow, within_s=0.0, is_far=True),
    "mesh-flapping": Scenario(play=flapping, within_s=KILLED_S, is_far=True),
    "mesh-registry-killed": Scenario(play=registry_killed, within_s=0.0),
    "mesh-registry-stopped": Scenario(play=registry_stopped, within_s=0.0),
    "mesh-registry-restarted": Scenario(play=registry_restarted, within_s=0.0),
    "mesh-registry-wiped": Scenario(play=registry_wiped, within_s=0.0),
    "mesh-replaced": Scenario(play=replaced, within_s=0.0),
    "mesh-certificates": Scenario(play=certificates, within_s=0.0, is_far=True),
}
