"""`engine up`: the whole platform in one place."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import which
from typing import TextIO

from cli import compose, fleet
from cli.demo_bank import ensure_demo_bank
from cli.output import fail, print_table
from cli.processes import handover
from cli.processes.foreground import supervise
from cli.supervisor import Supervisor
from mesh.registry import Entry
from mesh.settings import Settings, SettingsError
from mesh.tokens import write_trust


def run(settings: Settings, *, load: bool = True) -> None:
    """Start all services, load the demo bank, say where everything is, and watch until stopped."""
    began = time.monotonic()
    handed, rehearses = handover.taken(), handover.is_rehearsal()
    with _lock(settings, handed, rehearses=rehearses) as lock:
        try:
            if not rehearses:
                settings = fleet.with_own_ports(settings, handed.ports if handed else None)
        except SettingsError as error:
            fail(str(error), code=2)
        services = compose.blueprints(demo=settings.demo)
        compose.import_for_services(settings)
        programs = fleet.programs(settings, services)
        if rehearses:
            return
        write_trust(settings.key_dir, compose.rights(services))

        def started(supervisor: Supervisor) -> None:
            if load and settings.demo:
                _load(supervisor, settings)
            if not supervisor.stopping:
                _welcome(supervisor, settings, time.monotonic() - began)

        log_dir = settings.var / "log"
        supervise(programs, settings, log_dir, started, handed=handed, lock=lock.fileno())


def _lock(settings: Settings, handed: handover.Handed | None, *, rehearses: bool) -> TextIO:
    """The open file that keeps others from the folder."""
    if handed is not None:
        return os.fdopen(handed.lock, "w")
    return Path(os.devnull).open("w") if rehearses else _one_at_a_time(settings)


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


def _load(supervisor: Supervisor, settings: Settings) -> None:
    work: Callable[[], None] = partial(ensure_demo_bank, settings)
    code = supervisor.run_once("loader", work)
    if code and not supervisor.stopping:
        print(f"The demo bank was not loaded (code {code}).", file=sys.stderr)


def _welcome(supervisor: Supervisor, settings: Settings, took_s: float) -> None:
    entries = {name: entry for name, entry in supervisor.entries.items() if entry}
    print_table(
        ("Service", "Address", "Socket", "Health"),
        [_row(name, entry) for name, entry in entries.items()],
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


def _row(name: str, entry: Entry) -> tuple[str, str, str, str]:
    address = f"{entry.address}  http {entry.http}" if entry.http else entry.address
    return name, address, _relative(entry.socket), entry.state.value


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
