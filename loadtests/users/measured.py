"""Users whose calls are not those of locust's own client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import grpc
from locust import User
from locust.exception import ResponseError

from loadtests.session import Session, sign_on
from loadtests.targets import Targets
from mesh import ErrorView, blocking_channel
from sequencer.sdk import SequencerError

USER: Final = "loadtest"


class NamedUser(User):
    """A user whose requests tell what kind of user made them."""

    abstract = True

    def context(self) -> dict[str, Any]:
        """What goes along with each of its requests."""
        return {"user": type(self).__name__}


class MeasuredUser(NamedUser):
    """A user of a Python client; its calls are reported by `measured`."""

    abstract = True

    @contextmanager
    def measured(self, kind: str, name: str) -> Iterator[None]:
        """Report the block as one request; its errors are reported, not raised."""
        began = time.perf_counter()
        error: Exception | None = None
        try:
            yield
        except grpc.RpcError as failed:
            view = ErrorView.from_rpc(failed)
            error = ResponseError(f"{view.code.name} {view.reason or view.message}")
        except (SequencerError, AssertionError) as failed:
            error = failed
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=error,
            context=self.context(),
        )


class SignedOnUser(MeasuredUser):
    """A user with a session and channels of his own."""

    abstract = True

    def on_start(self) -> None:
        """Sign on."""
        self._open = ExitStack()
        identity = self._open.enter_context(blocking_channel(self._address("identity")))

        def renew() -> tuple[str, float]:
            grant = sign_on(identity, USER)
            return grant.access_token, grant.expires_in

        self._session = Session(renew)
        with self.measured("gRPC", "IdentityService/CreateSession"):
            self._session.header()

    def on_stop(self) -> None:
        """Close the channels."""
        self._open.close()

    def _address(self, service: str) -> str:
        targets: Targets = self.environment.targets
        return targets.grpc(service)
