"""The base of all who play a part in the golden loop."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from locust import FastHttpUser, between
from locust.exception import RescheduleTask

from loadtests import contracts
from loadtests.contracts import HttpRequest
from loadtests.people import People
from loadtests.stage import Stage
from loadtests.users.handed import Handed
from loadtests.users.measured import MeasuredUser
from mesh import ErrorView

BAD_REQUEST: Final = 400
PARTIAL_CONTENT: Final = 206
TIMEOUT_S: Final = 15.0


class LoopUser(MeasuredUser, FastHttpUser):
    """Asks by REST and by generated stub, by chance at each request; the answer is the same."""

    abstract = True
    wait_time = between(0.5, 1.5)

    @property
    def stage(self) -> Stage:
        """What is played on."""
        stage: Stage = self.environment.stage
        return stage

    @property
    def people(self) -> People:
        """Everybody's sessions."""
        people: People = self.environment.people
        return people

    @property
    def handed(self) -> Handed:
        """What users leave for one another."""
        handed: Handed = self.environment.handed
        return handed

    def ask(self, who: str, request: Message, refusals: Collection[str] = ()) -> Any:
        """What the request's method answers to a demo user; None when it refused.

        A refusal for one of the reasons in `refusals` is an answer of the business.
        Any other is a failure, and ends this turn of the user.
        """
        if secrets.randbelow(2):
            return self.ask_by_stub(who, request, refusals)
        return self.ask_by_rest(who, request, refusals)

    def ask_by_stub(self, who: str, request: Message, refusals: Collection[str] = ()) -> Any:
        """The same by generated stub."""
        answer, failed = None, True
        with self.measured("gRPC", contracts.short_name(contracts.method_of(request.DESCRIPTOR))):
            try:
                answer = self.people.ask(who, request, TIMEOUT_S)
            except grpc.RpcError as error:
                if ErrorView.from_rpc(error).reason not in refusals:
                    raise
            failed = False
        if failed:
            raise RescheduleTask
        return answer

    def ask_by_rest(self, who: str, request: Message, refusals: Collection[str] = ()) -> Any:
        """The same through the gateway."""
        asked = contracts.to_http(request)
        with self._request(who, asked) as response:
            said = _parsed(response)
            if response.status_code < BAD_REQUEST and said is not None:
                return contracts.from_http(request, said)
            reason = said.get("reason", "") if isinstance(said, dict) else ""
            if reason in refusals:
                response.success()
                return None
            response.failure(f"status {response.status_code} {reason}")
        raise RescheduleTask

    def fetch(self, who: str, request: Message, byte_range: tuple[int, int]) -> bytes:
        """Some bytes (first and last) of what the method serves as a document."""
        first, last = byte_range
        wanted = {"Range": f"bytes={first}-{last}"}
        with self._request(who, contracts.to_http(request), wanted) as response:
            body: bytes = response.content or b""
            if response.status_code == PARTIAL_CONTENT and len(body) == last - first + 1:
                return body
            response.failure(f"status {response.status_code}, {len(body)} bytes")
        raise RescheduleTask

    def _request(self, who: str, asked: HttpRequest, headers: dict[str, str] | None = None) -> Any:
        sent = {"Authorization": self.people.session(who).header(), **(headers or {})}
        if asked.body is not None:
            sent["Content-Type"] = "application/json"
        if asked.idempotency_key:
            sent["Idempotency-Key"] = asked.idempotency_key
        return self.client.request(
            asked.verb,
            asked.path,
            name=asked.template,
            headers=sent,
            data=asked.body,
            catch_response=True,
        )


def _parsed(response: Any) -> Any:
    """The JSON of an answer; None when there is none."""
    try:
        return json.loads(response.content or b"")
    except ValueError:
        return None
