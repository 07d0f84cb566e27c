"""How a failed call is told, and with which code the program ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NoReturn

import grpc

from cli.output import fail
from cli.seq.shown import plain
from mesh.errors import ErrorView

FIRST_CODE: Final = 64
"""Code of the program for gRPC status 0; that for NOT_FOUND (5) is 69."""

_ADVICE: Final = {
    grpc.StatusCode.UNIMPLEMENTED: "It may serve no reflection; 'engine status' lists ours.",
    grpc.StatusCode.UNAVAILABLE: "Look whether it runs and whether the address is right.",
    grpc.StatusCode.DEADLINE_EXCEEDED: "Allow more time by --timeout, or ask for less.",
}
"""For errors that say nothing of it themselves."""


_MAY_HAVE_RUN: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)
_REFUSALS: Final = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})


def ended_by(error: grpc.RpcError, *, request_id: str = "", user: bool = True) -> NoReturn:
    """Tell a failed call on standard error, and end the program with 64 and its status.

    Args:
        error: the failure.
        request_id: with which the call can be repeated, when it is not known whether it ran.
        user: whether a user called, so that it is no use to say how one does.
    """
    view = ErrorView.from_rpc(error)
    number: int = view.code.value[0]
    steps = [plain(view.next_step) or _ADVICE.get(view.code, "")]
    if request_id and view.code in _MAY_HAVE_RUN:
        steps.append(f"It may have run: repeat it with --request-id {request_id}.")
    if not user and view.code in _REFUSALS:
        steps.append("No user called: --token, or --as USER in the demo, says which one.")
    fail("\n".join(lines(view)), " ".join(filter(None, steps)), code=FIRST_CODE + number)


def lines(view: ErrorView) -> Iterator[str]:
    """An error in lines: code, reason and message, violations, facts, when to try again."""
    name = " ".join(dict.fromkeys(filter(None, (view.code.name, plain(view.reason)))))
    message = plain(view.message)
    yield f"{name}: {message}" if message else name
    for violation in view.violations:
        told = f"{plain(violation.field) or 'request'}: {plain(violation.description)}"
        if told != message:
            yield f"  {told}"
    for key, value in view.metadata.items():
        yield f"  {plain(key)} = {plain(value)}"
    if view.retry_after_s is not None:
        yield f"  try again after {view.retry_after_s:g} s"
