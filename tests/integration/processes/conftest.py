"""A run folder in which services are served as `engine` serves them."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mesh.registry import DirectoryRegistry, Entry
from tests import program
from tests.program import Done

ENGINE = str(Path(sys.executable).with_name("engine"))

Engine = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = {"ENGINE_DRAIN_S": "2"}
"""The calls of these tests take no time: what is left when a process drains is idle."""

EngineMesh = Callable[..., Done]
Refused = Callable[..., Done]
Serve = Callable[..., "Serving"]


class Serving:
    """An `engine serve` that runs, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def read(self, count: int) -> list[str]:
        """The next lines that it says."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().rstrip("\n") for _ in range(count)]
        self.said += lines
        return lines

    def read_until(self, text: str) -> str:
        """The next line that holds the text; the test's time-out bounds it."""
        while text not in (line := self.read(1)[0]):
            assert self.process.poll() is None, self.said
        return line

    def await_address(self) -> None:
        """Return when it has said where a process serves, in a line of its own."""
        while not re.fullmatch(r"127\.0\.0\.\d:\d+", self.read(1)[0]):
            assert self.process.poll() is None, self.said

    def stop(self, number: signal.Signals = signal.SIGTERM) -> str:
        """End it; it must do so in good order. Answers what it said at last."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said
        return said


def environ_of(var: Path) -> Mapping[str, str]:
    """The environment of processes that serve on a folder, on free ports."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("ENGINE_")}
    ports = {f"ENGINE_{name}": "0" for name in ("GATEWAY_PORT", "PORT_BASE", "METRICS_PORT")}
    return {**others, **ports, "ENGINE_VAR": str(var), "ENGINE_TELEMETRY": "0", **QUICK}


@pytest.fixture
def environ(var: Path) -> Mapping[str, str]:
    """The environment of every process of the test."""
    return environ_of(var)


@pytest.fixture
def engine(environ: Mapping[str, str]) -> Engine:
    """Runs `engine` to its end."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ENGINE, *arguments],
            env={**environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def engine_mesh(environ: Mapping[str, str]) -> EngineMesh:
    """Runs `engine mesh …` within this process, which has imported everything."""

    ours = {k: v for k, v in environ.items() if k.startswith("ENGINE_")}
    return lambda *arguments: program.engine("mesh", *arguments, settings=ours)


@pytest.fixture
def refused(environ: Mapping[str, str]) -> Refused:
    """Runs an `engine serve` within this process that is refused before it begins anything."""
    ours = {k: v for k, v in environ.items() if k.startswith("ENGINE_")}
    return lambda *arguments: program.engine("serve", *arguments, settings=ours)


@pytest.fixture
def serve(environ: Mapping[str, str]) -> Iterator[Serve]:
    """Runs `engine serve` until the end of the test; returns when all workers serve."""
    with serving(environ) as serve:
        yield serve


@contextmanager
def serving(environ: Mapping[str, str]) -> Iterator[Serve]:
    """Runs `engine serve` until the end of the block."""
    with ExitStack() as stack:

        def start(service: str, *options: str, lines: int = 1, settings_file: str = "") -> Serving:
            before = ["--settings", settings_file] if settings_file else []
            command = [ENGINE, *before, "serve", service, *options]
            process = stack.enter_context(_process(command, environ))
            for _ in range(lines):
                process.await_address()
            return process

        yield start


@contextmanager
def _process(command: list[str], environ: Mapping[str, str]) -> Iterator[Serving]:
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield Serving(process)
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.fixture
def registered(var: Path) -> Callable[[str], list[Entry]]:
    """The entries of a service, as the registry has them now."""
    return lambda service: [*DirectoryRegistry(var / "run").services().get(service, ())]


def await_end(pids: Iterable[int]) -> None:
    """Return when the processes are gone; the test's time-out bounds it."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        select.select([descriptor], [], [])
        os.close(descriptor)
