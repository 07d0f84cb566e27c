"""`engine up`: the whole platform in one place, on embedded defaults."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import which
from typing import TextIO

from cli import compose, serve
from cli.demo_bank import ensure_demo_bank
from cli.output import fail, print_table
from cli.supervisor import Program, StartError, Supervisor
from mesh.registry import Entry
from mesh.service import Blueprint
from mesh.settings import Settings
from mesh.tokens import write_trust

SUPERVISOR_GRACE_S = 5.0
EDGE = "gateway"


def run(settings: Settings, *, load: bool = True) -> None:
    """Start all services, load the demo bank, say where everything is, and watch until stopped.

    Ports of services and metrics that are taken are replaced by free ones; the
    gateway's is not, for users know it.
    """
    began = time.monotonic()
    lock = _one_at_a_time(settings)
    if not _free(settings.host, 0):
        fail(f"ENGINE_HOST={settings.host} is not an address of this machine", code=2)
    if not _free(settings.host, settings.metrics_port):
        settings = replace(settings, metrics_port=0)
    services = compose.blueprints(demo=settings.demo)
    write_trust(settings.key_dir, compose.rights(services))
    programs = [
        Program(name, partial(serve.run, blueprint, settings, port), _after(blueprint, services))
        for (name, blueprint), port in zip(
            services.items(), _ports(settings, services), strict=True
        )
    ]
    with (
        lock,
        _foreground(),
        Supervisor(programs, settings.var / "log", _say_restart) as supervisor,
    ):
        try:
            supervisor.start()
        except StartError as error:
            supervisor.stop(SUPERVISOR_GRACE_S)
            fail(str(error), f"The whole log is in {settings.var / 'log'}.")
        if load and settings.demo and not supervisor.stopping:
            _load(supervisor, settings)
        if not supervisor.stopping:
            _welcome(supervisor, settings, time.monotonic() - began)
        supervisor.watch()
        print("\nDraining … (Ctrl-C again ends at once)", flush=True)
        supervisor.stop(settings.drain_s + SUPERVISOR_GRACE_S)
        print("Stopped.", flush=True)


def _after(blueprint: Blueprint, services: Mapping[str, Blueprint]) -> tuple[str, ...]:
    """What must serve before a service starts, and until it has stopped.

    The edge comes last and goes first: while it answers, what it calls is there.
    """
    if blueprint.name == EDGE:
        return tuple(name for name in services if name != EDGE)
    return blueprint.after


@contextmanager
def _foreground() -> Iterator[None]:
    """Take Ctrl-C alone for the length of the block, when started by `make` on a terminal.

    The terminal sends it to the whole foreground group; `make` would die of it and
    report a failure though the platform stops well.
    """
    if not sys.stdin.isatty() or os.getpgrp() == os.getpid():
        yield
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a background group may not set the group
    terminal, before = sys.stdin.fileno(), os.getpgrp()
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, before)


def _one_at_a_time(settings: Settings) -> TextIO:
    """Refuse to run twice on one folder; the lock is held while the file is open."""
    settings.var.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (settings.var / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fail(
            f"another 'engine up' runs on {settings.var}",
            "Stop it, or set ENGINE_VAR to another folder.",
        )
    return lock


def _ports(settings: Settings, services: dict[str, Blueprint]) -> list[int]:
    """A TCP port for each service; one that is taken is replaced by a free one."""
    if not settings.port_base:
        return [0] * len(services)
    ports = range(settings.port_base, settings.port_base + len(services))
    return [port if _free(settings.host, port) else 0 for port in ports]


def _free(host: str, port: int) -> bool:
    """Whether something can listen there now; port 0 always can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _say_restart(name: str, code: int, backoff_s: float) -> None:
    how = f"signal {-code}" if code < 0 else f"code {code}"
    print(f"{name} ended with {how}; starting it again in {backoff_s:g} s", flush=True)


def _load(supervisor: Supervisor, settings: Settings) -> None:
    work: Callable[[], None] = partial(ensure_demo_bank, settings)
    code = supervisor.run_once("loader", work)
    if code and not supervisor.stopping:
        print(f"The demo bank was not loaded (code {code}).", file=sys.stderr)


def _welcome(supervisor: Supervisor, settings: Settings, took_s: float) -> None:
    entries = {name: entry for name, entry in supervisor.entries.items() if entry}
    print_table(
        ("Service", "Address", "Socket", "Health"),
        [_row(entry) for entry in entries.values()],
        title=f"Engine serves after {took_s:.1f} s",
    )
    gateway = f"http://{entries['gateway'].http}"
    print(f"  Gateway        {gateway}   (health: {gateway}/healthz)")
    print(f"  Documentation  {gateway}/docs")
    print(f"  Metrics        http://{entries['ums'].http}/metrics")
    print(f"  Data and logs  {settings.var.absolute()}")
    print()
    if settings.demo:
        _demo_hints(gateway)
    else:
        _bootstrap_hint(gateway, settings.var / "bootstrap-token")
    print("Ctrl-C drains and stops.", flush=True)


def _row(entry: Entry) -> tuple[str, str, str, str]:
    address = f"{entry.address}  http {entry.http}" if entry.http else entry.address
    return entry.service, address, _relative(entry.socket), entry.state.value


def _relative(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _demo_hints(gateway: str) -> None:
    print("Demo sign-ons (password 'engine-demo'):")
    print("  rm001  relationship manager, branch 1     rm002  the same, branch 2")
    print("  bm001  branch manager, branch 1           admin  administrator")
    print("  hq     head office      compliance  checker      do001  direct operations")
    print()
    print("Try, in another terminal:")
    engine = "engine" if which("engine") else sys.argv[0]
    print(f"  {engine} demo loop     the golden loop: 10,000 inflows to a measured effect")
    print(f"  {engine} demo          a relationship manager's morning")
    print(f"  {engine} seq next demo.orders -n 5 --create")
    sign_on = '\'{"username":"rm001","password":"engine-demo"}\''
    print(f"  curl -s {gateway}/v1/sessions -H 'Content-Type: application/json' -d {sign_on}")
    print()


def _bootstrap_hint(gateway: str, token_file: Path) -> None:
    if token_file.exists():
        token = token_file.read_text().strip()
        print("No user exists yet. Create the first administrator, once, at:")
        print(f"  {gateway}/bootstrap#{token}")
        print()
