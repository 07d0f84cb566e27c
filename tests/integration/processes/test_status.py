"""`engine mesh status`: who is where and how, and what to do about what does not serve."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cli.processes import census, client, looking
from mesh.registry import DirectoryRegistry, Entry
from mesh.settings import Settings
from tests import program
from tests.integration.processes.conftest import EngineMesh, Serve, environ_of, serving


def table(said: str) -> list[dict[str, str]]:
    """The first table of what was printed, as rows by their headers."""
    head, *rows = (line.split("\t") for line in said.partition("\n\n")[0].splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def shown(engine_mesh: EngineMesh) -> dict[str, Any]:
    done = engine_mesh("status", "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == bool(answer["problems"])
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A supervisor with two processes, which tests leave as they found them."""

    var: Path
    supervisor: int
    mesh: EngineMesh

    @property
    def entries(self) -> Sequence[Entry]:
        return DirectoryRegistry(self.var / "run").services()["sequencer"]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Of the sequencer, of version rc1."""
    with TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        environ = environ_of(Path(folder))
        ours = {k: v for k, v in environ.items() if k.startswith("ENGINE_")}
        with serving(environ) as serve:
            it = serve("sequencer", "--workers", "2", "--version-label", "rc1", lines=2)
            yield Pair(
                var=Path(folder),
                supervisor=it.process.pid,
                mesh=lambda *words: program.engine("mesh", *words, settings=ours),
            )


def test_every_process_is_shown_with_its_health(pair: Pair) -> None:
    """Plain in pipes; code 0 when all serve."""
    done = pair.mesh("status")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["Pid"]: row for row in table(done.stdout)}
    for entry in pair.entries:
        row = rows[str(entry.pid)]
        assert (row["Service"], row["Version"], row["Health"]) == ("sequencer", "rc1", "SERVING")
        assert (row["Address"], row["Instance"]) == (entry.address, entry.instance)
        assert row["State"] == "SERVING"
        assert row["Since"]
        assert row["Load"].endswith("%")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have those who look wait for a second only."""
    monkeypatch.setattr(census, "HEALTH_S", 1.0)
    monkeypatch.setattr(client, "LIST_S", 1.0)


@pytest.mark.usefixtures("impatient")
def test_a_process_that_does_not_answer_is_a_problem(pair: Pair) -> None:
    """With its next step, and code 1; the others are asked all the same."""
    deaf, well = pair.entries
    with stopped(deaf.pid):
        answer = shown(pair.mesh)
    healths = {process["pid"]: process["health"] for process in answer["processes"]}
    assert healths == {deaf.pid: "no answer (DEADLINE_EXCEEDED)", well.pid: "SERVING"}
    (problem,) = answer["problems"]
    assert f"sequencer (pid {deaf.pid})" in problem["what"]
    assert f"kill {deaf.pid}' (its supervisor starts it again)" in problem["next_step"]
    assert shown(pair.mesh)["problems"] == []


@pytest.mark.usefixtures("impatient")
def test_a_supervisor_that_does_not_answer_is_a_problem(pair: Pair) -> None:
    """Its processes serve, and nobody would start them again."""
    with stopped(pair.supervisor):
        (problem,) = shown(pair.mesh)["problems"]
    assert f"the supervisor (pid {pair.supervisor}) does not answer" in problem["what"]


def test_a_worker_that_falls_again_and_again_is_shown(
    serve: Serve, engine_mesh: EngineMesh, var: Path
) -> None:
    """Though it has no entry: its supervisor says so."""
    supervisor = serve("sequencer", "--workers", "1")
    (var / "keys" / "sequencer.key").rename(var / "elsewhere")
    for _ in range(6):
        kill_all(shown(engine_mesh))
    supervisor.read_until("5 times in a row")
    done = engine_mesh("status")
    assert done.returncode == 1
    assert "sequencer does not serve: it ended" in done.stderr
    assert "crash loop" in done.stdout


def kill_all(answer: dict[str, Any]) -> None:
    for process in answer["processes"]:
        os.kill(process["pid"], signal.SIGKILL)


def test_without_anything_it_says_how_to_start(engine_mesh: EngineMesh) -> None:
    """Code 1, no stack trace."""
    done = engine_mesh("status")
    assert done.returncode == 1
    assert "nothing serves on" in done.stderr
    assert "make run" in done.stderr


def test_watching_shows_it_anew_until_it_is_stopped(pair: Pair, capsys: Any) -> None:
    """Each look is a table of its own; Ctrl-C ends it without an error."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    looking.watch_on(Settings(var=pair.var), 1.5, as_json=False, sleep=sleep)
    assert waits == [1.5] * 3
    assert capsys.readouterr().out.count("\nsequencer\t") == 3 * len(pair.entries)


def test_restarts_of_what_is_not_there_or_not_supervised_are_refused(
    serve: Serve, engine_mesh: EngineMesh
) -> None:
    """Each with the next step."""
    nothing = engine_mesh("restart", "sequencer")
    assert nothing.returncode == 1
    assert "no supervisor runs on" in nothing.stderr
    serve("sequencer")
    alone = engine_mesh("restart", "--all")
    assert alone.returncode == 1
    serve("customer", "--workers", "1")
    for name, said in (
        ("sequencer", "and no supervisor on"),
        ("custmer", "Did you mean 'customer'?"),
    ):
        done = engine_mesh("restart", name)
        assert done.returncode == 2
        assert said in done.stderr
    for options in ((), ("customer", "--all")):
        assert "say which processes" in engine_mesh("restart", *options).stderr
