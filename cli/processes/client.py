"""How commands find the supervisors of a run folder, and speak to them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.processes.control import SUFFIX
from cli.processes.orders import LIST, RENEW, RESTART

LIST_S: Final = 5.0
"""How long a supervisor may take to say what it runs."""
STEP_S: Final = 700.0
"""How long it may take between two steps of a restart: a start, or the longest drain."""


class SupervisorError(Exception):
    """A supervisor did not do what it was asked, or did not answer; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """A supervisor that runs, with what it says of its slots (`Slot.told`)."""

    path: Path
    slots: tuple[Mapping[str, Any], ...]
    problem: str = ""
    """Why it did not say it; empty when it did."""

    @property
    def pid(self) -> str:
        """Its process."""
        return self.path.stem

    def renew(self) -> None:
        """Have it begin anew, with the code and settings of now; its processes go on.

        It takes the next order when it has.

        Raises:
            SupervisorError: it could not start so; nothing was changed.
        """
        for _ in ask(self.path, {"order": RENEW}, STEP_S):
            pass

    def restart(self, names: list[str]) -> Iterator[Mapping[str, Any]]:
        """Have it replace the processes of these slots; yields each step of it.

        Raises:
            SupervisorError: a new process did not come to serve, or a restart is under way.
        """
        for reply in ask(self.path, {"order": RESTART, "names": names}, STEP_S):
            if "step" in reply:
                yield reply["step"]


def supervisors(run_dir: Path) -> list[Supervised]:
    """The supervisors of the folder, as far as they run; the sockets of others are removed."""
    found = []
    for path in sorted(run_dir.glob(f"*{SUFFIX}")):
        try:
            slots = tuple(reply["slot"] for reply in ask(path, {"order": LIST}, LIST_S))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except (OSError, SupervisorError) as error:
            found.append(Supervised(path=path, slots=(), problem=str(error)))
        else:
            found.append(Supervised(path=path, slots=slots))
    return found


def ask(path: Path, order: Mapping[str, Any], timeout_s: float) -> Iterator[Mapping[str, Any]]:
    """Give an order; yields the replies before the last one, which says that it is done.

    Args:
        path: the supervisor's socket.
        order: what it is to do.
        timeout_s: how long it may take between two replies.

    Raises:
        OSError: it cannot be reached.
        SupervisorError: it failed, ended, or was silent for too long.
    """
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(timeout_s)
        peer.connect(str(path))
        peer.sendall(json.dumps(order).encode() + b"\n")
        for reply in _replies(peer, path, timeout_s):
            if "failed" in reply:
                raise SupervisorError(str(reply["failed"]))
            if "done" in reply:
                return
            yield reply
    raise SupervisorError(f"the supervisor (pid {path.stem}) ended before it was done")


def _replies(peer: socket.socket, path: Path, timeout_s: float) -> Iterator[Mapping[str, Any]]:
    with peer.makefile("r") as lines, suppress(ConnectionResetError):
        try:
            for line in lines:
                yield json.loads(line)
        except TimeoutError:
            raise SupervisorError(
                f"the supervisor (pid {path.stem}) said nothing for {timeout_s:g} s"
            ) from None
