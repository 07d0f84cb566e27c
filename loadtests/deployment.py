"""A platform of one's own, for a load or integration test."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from loadtests.targets import Targets

STOP_S = 60.0

_SETTINGS = {
    "ENGINE_DEMO": "1",
    "ENGINE_GATEWAY_PORT": "0",
    "ENGINE_PORT_BASE": "0",
    "ENGINE_METRICS_PORT": "0",
    "ENGINE_SIGN_ON_RATE_PER_S": "1000",  # all users of a test come from one address
}


class DeploymentError(Exception):
    """The platform did not start or did not stop cleanly; the text is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A platform that runs. `environ` is for commands that are to find it."""

    environ: Mapping[str, str] = field(repr=False)

    @property
    def targets(self) -> Targets:
        """Where its services are."""
        return Targets(environ=self.environ)


@contextmanager
def own_platform(
    settings: Mapping[str, str] = MappingProxyType({}), *, file: Path | None = None
) -> Iterator[Platform]:
    """Run `engine up` with the demo bank, on free ports and in a new folder, for a block.

    Entering returns once all services serve and the bank is loaded.

    Args:
        settings: variables beside those, or instead of them: `{"ENGINE_DATABASE_URL": …}`.
        file: a settings file; what the variables set wins over it.

    Raises:
        DeploymentError: it did not start, or ended with an error.
    """
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as var:  # short, for sockets
        others = {k: v for k, v in os.environ.items() if not k.startswith("ENGINE_")}
        environ = {**others, **_SETTINGS, "ENGINE_VAR": var, **settings}
        options = ["--settings", str(file)] if file else []
        with subprocess.Popen(  # noqa: S603 - our own program
            [Path(sys.executable).with_name("engine"), "up", *options],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                _await_welcome(process)
                yield Platform(environ=environ)
            finally:
                process.terminate()
                said, _ = process.communicate(timeout=STOP_S)
        if process.returncode:
            raise DeploymentError(f"'engine up' ended with code {process.returncode}:\n{said}")


def _await_welcome(process: subprocess.Popen[str]) -> None:
    """Return at the end of the welcome, which is printed when everything is ready."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ctrl-C"):
            return
    raise DeploymentError("'engine up' did not start:\n" + "".join(said))
