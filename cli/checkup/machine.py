"""What the machine gives: Python, open files, folders, disk, clock."""

from __future__ import annotations

import resource
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from cli.checkup.clocks import synchronised
from cli.checkup.finding import Finding, fail, graded, ok
from mesh.settings import Settings
from mesh.tokens import TRUST_FILE

FILES_BESIDE: Final = 1_000
"""Files that a gateway opens beside its HTTP connections."""

LOW_DISK_BYTES: Final = 10 << 30
FULL_DISK_BYTES: Final = 1 << 30


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at this machine; touches nothing."""
    yield ok("python", sys.version.split()[0])
    yield ok("platform", _version())
    yield _open_files(settings)
    yield synchronised()
    yield _disk(settings.var)
    yield _folder(settings)


def _version() -> str:
    try:
        return f"engine-platform {version('engine-platform')}"
    except PackageNotFoundError:
        return "engine-platform, not installed"


def _open_files(settings: Settings) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + FILES_BESIDE
    limit = "unlimited" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    return graded(
        "open files",
        f"at most {limit}, a full gateway needs {needed:,}",
        f"Allow {needed} (LimitNOFILE= of the unit, ulimit -Hn), or lower ENGINE_MAX_CONNECTIONS.",
        bad=hard != resource.RLIM_INFINITY and hard < needed,
    )


def _disk(var: Path) -> Finding:
    there = next(folder for folder in (var.absolute(), *var.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return graded(
        "disk",
        f"{free / (1 << 30):,.1f} GiB free for {var}",
        "Make room: logs, sockets and, without a database server, all data lie there.",
        bad=free < LOW_DISK_BYTES,
        worse=free < FULL_DISK_BYTES,
    )


def _folder(settings: Settings) -> Finding:
    if not settings.var.exists():
        return ok("folder", f"{settings.var} will be made, for its owner alone")
    advice = "Run this as the user that the platform runs as."
    try:
        open_to_others = sorted(str(path) for path in _private(settings) if _is_open(path))
    except OSError as error:
        return fail("folder", f"cannot look into {settings.var}: {error}", advice)
    return graded(
        "folder",
        f"others can read {', '.join(open_to_others)}" if open_to_others else f"{settings.var}",
        f"chmod go-rwx {' '.join(open_to_others)}",
        bad=False,
        worse=bool(open_to_others),
    )


def _private(settings: Settings) -> Iterator[Path]:
    """What nobody else may read: keys and databases. The trust file has public keys."""
    for folder in (settings.key_dir, settings.data_dir):
        if folder.exists():
            files = (path for path in folder.iterdir() if path.suffix != ".lock")
            yield from (path for path in files if path.is_file() and path.name != TRUST_FILE)


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o077)
