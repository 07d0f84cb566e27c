"""`engine up` without the demo, and when it cannot start."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from loadtests.deployment import Platform
from tests import program

ENGINE = str(Path(sys.executable).with_name("engine"))
PASSWORD = "correct horse battery"


def settings_of(var: Path, **settings: str) -> Mapping[str, str]:
    """On free ports, and otherwise as given."""
    ports = {f"ENGINE_{name}": "0" for name in ("GATEWAY_PORT", "PORT_BASE", "METRICS_PORT")}
    return {**ports, "ENGINE_VAR": str(var), **settings}


def environ(var: Path, **settings: str) -> Mapping[str, str]:
    others = {k: v for k, v in os.environ.items() if not k.startswith("ENGINE_")}
    return {**others, **settings_of(var, **settings)}


@contextmanager
def up(var: Path, **settings: str) -> Iterator[str]:
    """A platform without the demo; yields what it printed."""
    with subprocess.Popen(
        [ENGINE, "up"],
        env=environ(var, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        try:
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            assert process.wait(30) == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A platform that was started on an empty folder, with ports that others had."""

    var: Path
    taken: tuple[str, ...]
    said: str
    stop: Callable[[], None]


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    """Runs until a test stops it, or to the end of the file."""
    with (
        TemporaryDirectory(prefix="engine-", dir="/tmp") as folder,
        ExitStack() as running,
        taken_port() as metrics,
        taken_port() as base,
    ):
        ports = {"ENGINE_METRICS_PORT": metrics, "ENGINE_PORT_BASE": base}
        said = running.enter_context(up(Path(folder), **ports))
        yield Started(var=Path(folder), taken=(metrics, base), said=said, stop=running.close)


@contextmanager
def taken_port() -> Iterator[str]:
    """A port on which somebody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield str(taken.getsockname()[1])


def test_taken_ports_of_services_are_replaced(started: Started) -> None:
    """Only the gateway's port is known to users; the table shows where the others went."""
    assert not re.search(rf":({'|'.join(started.taken)})\b", started.said)


def test_the_first_administrator_is_made_by_a_link_that_works_once(started: Started) -> None:
    """No user exists by default, demo users cannot sign on, and the link is spent after use."""
    said = started.said
    found = re.search(r"(http://\S+)/bootstrap#(\S+)", said)
    assert found
    assert "engine-demo" not in said
    with httpx.Client(base_url=found[1], timeout=10) as rest:
        page = rest.get("/bootstrap")
        assert page.headers["content-type"].startswith("text/html")
        request = {"token": found[2], "username": "first", "password": PASSWORD}
        demo = {"username": "rm001", "password": "engine-demo"}
        assert rest.post("/v1/sessions", json=demo).status_code == 401
        assert rest.post("/v1/bootstrap", json={**request, "token": "x"}).status_code >= 400
        assert rest.post("/v1/bootstrap", json=request).status_code == 200
        assert rest.post("/v1/bootstrap", json=request).status_code >= 400
        first = {"username": "first", "password": PASSWORD}
        grant = rest.post("/v1/sessions", json=first).json()
        rest.headers["authorization"] = f"Bearer {grant['accessToken']}"
        assert rest.get("/v1/me").json()["roles"] == ["administrator"]
    started.stop()
    with up(started.var) as said:
        assert "/bootstrap#" not in said


def test_a_taken_port_is_named_with_its_setting(var: Path) -> None:
    """The platform does not start by half: it says what to change and leaves nothing running."""
    with taken_port() as port:
        done = subprocess.run(
            [ENGINE, "up"],
            env=environ(var, ENGINE_GATEWAY_PORT=port),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert f"ENGINE_GATEWAY_PORT={port}: cannot listen" in done.stderr
    assert "Traceback" not in done.stderr
    status = program.engine("status", settings=settings_of(var))
    assert status.returncode == 1


def test_several_processes_are_not_started_on_files(var: Path) -> None:
    """It is told before anything starts, with what is missing."""
    done = program.engine("up", settings=settings_of(var, ENGINE_REPLICAS="2"))
    assert done.returncode == 2
    assert "needs ENGINE_DATABASE_URL" in done.stderr
    assert not (var / "run").exists()


@pytest.mark.parametrize("where", [("up", "--settings"), ("--settings",)])
def test_a_settings_file_is_refused_by_line(var: Path, where: tuple[str, ...]) -> None:
    """Before the command or after 'up'."""
    file = var / "production.env"
    file.write_text("# mine\nENGINE_GATEWAY_PROT=1\n")
    command = [*where, str(file), *(() if "up" in where else ("status",))]
    done = program.engine(*command, settings=settings_of(var))
    assert done.returncode == 2
    assert f"{file}:2: ENGINE_GATEWAY_PROT: no such setting" in done.stderr


def test_demo_tokens_open_the_gateway(platform: Platform) -> None:
    """`engine token mint` prints tokens that work, as many as asked for."""
    tokens = printed(platform, "token", "mint", "--count", "2").split()
    assert len(set(tokens)) == 2
    status = printed(platform, "status")
    (gateway,) = [line.split("\t")[2] for line in status.splitlines() if line.startswith("gateway")]
    for token in tokens:
        answer = httpx.get(f"http://{gateway}/v1/me", headers={"authorization": f"Bearer {token}"})
        assert answer.json()["username"] == "loadtest"


def printed(platform: Platform, *arguments: str) -> str:
    """What the program prints when it finds this platform."""
    return subprocess.run(
        [ENGINE, *arguments],
        env=dict(platform.environ),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
