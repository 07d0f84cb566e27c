"""`engine mesh canary`: a share of the calls for another version, by one command."""

from __future__ import annotations

from pathlib import Path

from mesh.registry import DirectoryRegistry, HeaderRule, Route, Split
from tests.integration.processes.conftest import EngineMesh, Serve


def route(var: Path) -> Route:
    return DirectoryRegistry(var / "run").route("sequencer")


def test_a_canary_gets_its_share_and_its_header_until_it_is_ended(
    serve: Serve, engine_mesh: EngineMesh, var: Path
) -> None:
    """The route stands before the canary runs; the other calls go to the version that serves."""
    serve("sequencer", "--version-label", "1.0")
    command = ("canary", "sequencer", "--version", "1.1", "--weight", "5")
    done = engine_mesh(*command, "--header", "X-Canary=1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == [
        "Service\tCalls\tVersion",
        "sequencer\tx-canary=1\t1.1",
        "sequencer\t5 %\t1.1",
        "sequencer\t95 %\t1.0",
    ]
    assert "engine serve sequencer --workers 1 --version-label 1.1" in done.stdout
    assert route(var) == Route(
        service="sequencer",
        rules=(HeaderRule(header="x-canary", value="1", version="1.1"),),
        splits=(Split(version="1.1", weight=5), Split(version="1.0", weight=95)),
    )
    missing = engine_mesh("status")
    assert missing.returncode == 1
    assert "calls are routed to version 1.1, and no process of it serves" in missing.stderr
    serve("sequencer", "--workers", "1", "--version-label", "1.1")
    there = engine_mesh("status")
    assert there.returncode == 0, there.stderr
    assert "sequencer\t95 %\t1.0" in there.stdout
    assert "sequencer\t5 %\t1.1" in engine_mesh("canary", "sequencer").stdout
    off = engine_mesh("canary", "sequencer", "--off")
    assert "All processes of 'sequencer' get its calls alike." in off.stdout
    assert route(var) == Route(service="sequencer")


def test_a_header_alone_keeps_all_other_calls_from_the_canary(
    serve: Serve, engine_mesh: EngineMesh, var: Path
) -> None:
    """They go to the version beside it."""
    serve("sequencer", "--version-label", "1.0")
    engine_mesh("canary", "sequencer", "--version", "1.1", "--header", "x-canary=1")
    assert route(var).splits == (Split(version="1.0", weight=100),)


def test_wishes_that_mean_nothing_are_refused(
    serve: Serve, engine_mesh: EngineMesh, var: Path
) -> None:
    """Code 2, the next step, and the route stays as it is."""
    nothing = engine_mesh("canary", "sequencer", "--version", "1.1", "--weight", "5")
    assert "nothing serves here" in nothing.stderr
    serve("sequencer", "--version-label", "1.0")
    for options, said in (
        (("sequencr", "--version", "1.1", "--weight", "5"), "Did you mean 'sequencer'?"),
        (("sequencer", "--version", "1.0", "--weight", "5"), "there is nothing beside it"),
        (("sequencer", "--version", "1.1"), "Give --weight PERCENT, --header"),
        (("sequencer", "--weight", "5"), "say which version is the canary"),
        (("sequencer", "--version", "1.1", "--header", "x"), "Write it as name=value"),
        (("sequencer", "--version", "1.1", "--weight", "101"), "--weight"),
    ):
        done = engine_mesh("canary", *options)
        assert done.returncode == 2, options
        assert said in done.stderr, options
    serve("sequencer", "--version-label", "0.9")
    unclear = engine_mesh("canary", "sequencer", "--version", "1.1", "--weight", "5")
    assert "serves in the versions 0.9, 1.0 beside 1.1" in unclear.stderr
    assert "--beside VERSION" in unclear.stderr
    assert route(var) == Route(service="sequencer")
    clear = ("--version", "1.1", "--weight", "5", "--beside", "1.0")
    assert engine_mesh("canary", "sequencer", *clear).returncode == 0
