"""How a call over a lane ended, in the forms that grpc's blocking interface has for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc

from mesh.errors import STATUS_DETAILS_KEY, MeshError


class Metadatum(NamedTuple):
    """One pair of metadata."""

    key: str
    value: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Status and metadata of a call that has ended."""

    code: grpc.StatusCode
    details: str
    initial: tuple[Metadatum, ...] = ()
    trailing: tuple[Metadatum, ...] = ()

    @classmethod
    def of_error(cls, error: MeshError) -> Self:
        """The ending of a call that failed before it was sent."""
        status = error.to_status().SerializeToString()
        trailing = (Metadatum(STATUS_DETAILS_KEY, status),)
        return cls(code=error.code, details=error.detail, trailing=trailing)


def pairs(metadata: Iterable[tuple[str, str | bytes]] | None) -> tuple[Metadatum, ...]:
    """Metadata as grpc's blocking interface has it."""
    return tuple(Metadatum(key, value) for key, value in metadata or ())


class _Ended(grpc.Call, grpc.Future):  # type: ignore[type-arg]  # generic in the stubs alone
    """A call that has ended: what of it does not depend on how."""

    ending: Ending

    def initial_metadata(self) -> Any:
        return self.ending.initial

    def trailing_metadata(self) -> Any:
        return self.ending.trailing

    def code(self) -> grpc.StatusCode:
        return self.ending.code

    def details(self) -> str:
        return self.ending.details

    def debug_error_string(self) -> str:
        """For developers."""
        return f"lane: ended with {self.ending.code.name}: {self.ending.details}"

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> Any:
        return None

    def add_callback(self, callback: Callable[[], None]) -> bool:  # noqa: ARG002 - too late
        return False

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        fn(self)


class EndedCall(_Ended):
    """A call that ended well."""

    def __init__(self, ending: Ending, response: Any) -> None:
        self.ending = ending
        self._response = response

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - nothing to wait for
        return self._response

    def exception(self, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        return None

    def traceback(self, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        return None


class LaneRpcError(grpc.RpcError, _Ended):  # type: ignore[misc]  # as grpc's own error is
    """A call that failed: raised, and a `grpc.Call` and `grpc.Future` itself, as grpc's is."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending = ending

    def __str__(self) -> str:
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            + "".join(
                f"\t{name} = {value}\n"
                for name, value in (
                    ("status", self.ending.code),
                    ("details", f'"{self.ending.details}"'),
                    ("debug_error_string", f'"{self.debug_error_string()}"'),
                )
            )
            + ">"
        )

    __repr__ = __str__

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - nothing to wait for
        raise self

    def exception(self, timeout: float | None = None) -> Self:  # noqa: ARG002 - as above
        return self

    def traceback(
        self,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> TracebackType | None:
        try:
            raise self
        except LaneRpcError:
            return self.__traceback__
