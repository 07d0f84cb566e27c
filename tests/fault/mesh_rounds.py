"""Rounds of the mesh: one fault each, under calls at a steady pace, and how soon all is well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.fault.checkers import check
from tests.fault.mesh_ground import CALM_S, Ground
from tests.fault.mesh_judge import Effects, Told, judged, nothing_lost
from tests.fault.mesh_scenarios import SCENARIOS

__all__ = ["ROUNDS", "Told", "play"]

ROUNDS: Final = (*SCENARIOS,)


def play(name: str, folder: Path, *, seed: int, careless: str = "", patience: float = 1.0) -> Told:
    """Play one of `ROUNDS` in an empty folder.

    Args:
        name: which.
        folder: short, for sockets.
        seed: chooses who is hurt.
        careless: one of `mesh_caller.CARELESS`: it must be found out.
        patience: times that all may take what is promised, on a machine that others use.

    Raises:
        ViolationError: a promise was broken.
    """
    scenario = SCENARIOS[name]
    with Ground(folder, seed=seed, is_far=scenario.is_far, careless=careless) as ground:
        ground.wait(CALM_S)
        scenario.play(ground)
        ground.wait(CALM_S)
        ground.end()
        history, effects = ground.calls(), Effects(found=ground.effects())
        bound = scenario.within_s
        told = judged(name, history, effects, faults=ground.faults(), within_s=bound)
    late = [] if replace(told, within_s=bound * patience).is_in_time else [f"too late: {told}"]
    check(history, effects, nothing_lost, lambda _: late)
    return told
