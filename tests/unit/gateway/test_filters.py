"""The filter chain: who gets through, what is counted, how errors look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import orjson
import pytest
from grpc.aio import AioRpcError, Metadata
from joserfc.jwk import OKPKey

from gateway.exchange import Exchange, Target
from gateway.filters import Next, chain
from gateway.http import Request, Response
from gateway.limits import local_limiters
from mesh.clock import ManualClock
from mesh.context import Principal
from mesh.errors import MeshError, MeshReason
from mesh.settings import Settings
from mesh.telemetry import Telemetry, current_trace
from mesh.tokens import TokenVerifier, sign_user

READ = "thing.read"
KEY = OKPKey.generate_key("Ed25519")


async def served(_: Exchange) -> Response:
    return Response(body=b"served")


def fails(error: BaseException) -> Callable[[Exchange], Any]:
    async def answer(_: Exchange) -> Response:
        raise error

    return answer


@dataclass
class Edge:
    """The chain with parts that a test can move."""

    clock: ManualClock = field(default_factory=ManualClock)
    telemetry: Telemetry = field(default_factory=Telemetry)
    settings: Settings = field(default_factory=lambda: Settings(rate_per_s=1.0, rate_burst=3))

    def __post_init__(self) -> None:
        verifier = TokenVerifier({"services": {}}, self.clock)
        public = KEY.as_dict(private=False)
        verifier.set_keys([{**{k: str(v) for k, v in public.items()}, "kid": "k"}])
        self.pulse = verifier.pulse
        self._chain: Next = chain(
            self.settings, self.telemetry, verifier, local_limiters(self.clock)
        )

    def token(self, subject: str = "rm001", ttl_s: float = 60) -> str:
        principal = Principal(subject=subject, permissions=frozenset({READ}))
        return sign_user(principal, KEY, "k", issued=self.clock.now().timestamp(), ttl_s=ttl_s)

    async def ask(
        self,
        answer: Callable[[Exchange], Any] = served,
        *,
        client: str = "10.0.0.1",
        **options: Any,
    ) -> Response:
        headers = options.pop("headers", {})
        target = Target(label="GET /x", answer=answer, **options)
        request = Request(
            method="GET", path="/x", query="", headers=headers, body=b"", client=client
        )
        return await self._chain(Exchange(request=request, target=target))

    async def ask_as(self, token: str, client: str = "10.0.0.1", cost: int = 1) -> int:
        """The status of a request with a token."""
        headers = bearer(token)
        response = await self.ask(client=client, permission=READ, headers=headers, cost=cost)
        return response.status

    def counted(self) -> dict[str, int]:
        calls = self.telemetry.meters.calls.items()
        return {code: stats.count for (side, _, code), stats in calls if side == "http"}


@pytest.fixture
def edge() -> Edge:
    return Edge()


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {token}".encode()}


def reason(response: Response) -> str:
    return str(orjson.loads(response.body)["reason"])


async def test_user_with_the_permission_gets_through(edge: Edge) -> None:
    """And the target learns who he is."""

    async def whoami(exchange: Exchange) -> Response:
        assert exchange.principal is not None
        return Response(body=exchange.principal.subject.encode())

    token = edge.token()
    response = await edge.ask(whoami, permission=READ, headers=bearer(token))
    assert (response.status, response.body) == (200, b"rm001")


async def test_without_news_of_ended_rights_users_only_read(edge: Edge) -> None:
    """And whatever needs nobody signed on is served."""
    edge.pulse.expect(limit_s=5)
    headers = bearer(edge.token())
    refused = await edge.ask(permission=READ, headers=headers)
    assert (refused.status, reason(refused)) == (503, "RIGHTS_UNCERTAIN")
    assert (await edge.ask(permission=READ, headers=headers, reads=True)).status == 200
    assert (await edge.ask(anonymous=True)).status == 200
    edge.pulse.beat(edge.pulse.now())
    assert (await edge.ask(permission=READ, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "UNAUTHENTICATED"),
        ({b"authorization": b"Basic abc"}, "TOKEN_INVALID"),
        ({b"authorization": b"Bearer"}, "TOKEN_INVALID"),
        ({b"authorization": b"Bearer "}, "TOKEN_INVALID"),
        ({b"authorization": b"Bearer a.b.c"}, "TOKEN_INVALID"),
        ({b"authorization": b"Bearer \xff"}, "TOKEN_INVALID"),
    ],
)
async def test_without_a_good_token_nobody_gets_through(
    edge: Edge, headers: dict[bytes, bytes], why: str
) -> None:
    """Whatever stands in the header."""
    response = await edge.ask(permission=READ, headers=headers)
    assert (response.status, reason(response)) == (401, why)


async def test_expired_token_is_refused(edge: Edge) -> None:
    """Also one that was good a moment ago."""
    token = edge.token(ttl_s=10)
    assert await edge.ask_as(token) == 200
    edge.clock.advance(20)
    response = await edge.ask(permission=READ, headers=bearer(token))
    assert (response.status, reason(response)) == (401, "TOKEN_EXPIRED")


async def test_scheme_is_read_in_any_case(edge: Edge) -> None:
    """As the standard says."""
    headers = {b"authorization": f"bearer {edge.token()}".encode()}
    assert (await edge.ask(permission=READ, headers=headers)).status == 200


async def test_missing_permission_is_refused_at_the_edge(edge: Edge) -> None:
    """The target is never reached."""
    answer = fails(AssertionError("reached"))
    response = await edge.ask(answer, permission="thing.write", headers=bearer(edge.token()))
    assert (response.status, reason(response)) == (403, "PERMISSION_DENIED")
    assert orjson.loads(response.body)["metadata"] == {"permission": "thing.write"}


async def test_bad_token_on_an_anonymous_target_counts_as_none(edge: Edge) -> None:
    """A client with an old token can still sign on."""

    async def nobody(exchange: Exchange) -> Response:
        assert exchange.principal is None
        assert exchange.token == ""
        return Response()

    assert (await edge.ask(nobody, anonymous=True, headers=bearer("a.b.c"))).status == 200


async def test_good_token_on_an_anonymous_target_is_passed_on(edge: Edge) -> None:
    """The target may want to know."""

    async def somebody(exchange: Exchange) -> Response:
        assert exchange.principal is not None
        return Response()

    token = edge.token()
    assert (await edge.ask(somebody, anonymous=True, headers=bearer(token))).status == 200


async def test_user_above_his_rate_is_refused_and_told_when_to_come_back(edge: Edge) -> None:
    """Each user for himself, wherever he comes from."""
    token = edge.token("a")
    for client in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        assert await edge.ask_as(token, client) == 200
    response = await edge.ask(permission=READ, headers=bearer(token))
    assert (response.status, reason(response)) == (429, "RATE_LIMITED")
    headers = dict(response.headers)
    assert headers[b"retry-after"] == b"1"
    assert headers[b"ratelimit-policy"] == b'"default";q=3;w=3'
    assert headers[b"ratelimit"] == b'"default";r=0;t=1'
    assert await edge.ask_as(edge.token("b")) == 200
    edge.clock.advance(1.0)
    assert await edge.ask_as(token) == 200


async def test_cost_of_a_target_is_what_it_takes(edge: Edge) -> None:
    """A dear one is refused sooner, a free one never."""
    token = edge.token()
    assert await edge.ask_as(token, cost=2) == 200
    assert await edge.ask_as(token, cost=2) == 429
    assert await edge.ask_as(token, cost=1) == 200
    assert await edge.ask_as(token, cost=0) == 200


async def test_strangers_are_limited_by_address() -> None:
    """So that passwords cannot be tried at speed."""
    edge = Edge(settings=Settings(sign_on_rate_per_s=1.0))
    statuses = [(await edge.ask(anonymous=True)).status for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert (await edge.ask(anonymous=True, client="10.0.0.9")).status == 200


async def test_bad_tokens_count_against_their_address() -> None:
    """Trying tokens is limited like trying passwords."""
    edge = Edge(settings=Settings(sign_on_rate_per_s=1.0))
    tries = [await edge.ask(permission="p", headers=bearer(f"a.b.{n}")) for n in range(4)]
    assert [response.status for response in tries] == [401, 401, 429, 429]


async def test_error_of_ours_keeps_its_reason_and_trace(edge: Edge) -> None:
    """The trace id in the body is that of the headers."""
    error = MeshError(MeshReason.UNAVAILABLE)
    response = await edge.ask(fails(error), anonymous=True)
    body = orjson.loads(response.body)
    assert (response.status, body["reason"]) == (503, "UNAVAILABLE")
    assert dict(response.headers)[b"x-trace-id"].decode() == body["trace_id"]


async def test_failed_call_is_explained(edge: Edge) -> None:
    """Also one without any detail."""
    error = AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, Metadata(), Metadata(), details="x")
    response = await edge.ask(fails(error), anonymous=True)
    assert (response.status, reason(response)) == (504, "DEADLINE_EXCEEDED")


async def test_unexpected_error_is_an_incident(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    """Its text is in the log under the incident's id, and nowhere in the answer."""
    with caplog.at_level(logging.ERROR):
        response = await edge.ask(fails(RuntimeError("the secret text")), anonymous=True)
    body = orjson.loads(response.body)
    assert (response.status, body["reason"]) == (500, "INTERNAL")
    assert b"secret" not in response.body
    assert b"Traceback" not in response.body
    (record,) = caplog.records
    assert record.values["incident"] == body["metadata"]["incident"]  # type: ignore[attr-defined]
    assert edge.telemetry.meters.counter("gateway.incidents").value == 1


async def test_everything_is_counted_by_route_and_status(edge: Edge) -> None:
    """What is refused like what is served."""
    await edge.ask(anonymous=True)
    await edge.ask(permission="p")
    await edge.ask(fails(RuntimeError()), anonymous=True)
    assert edge.counted() == {"200": 1, "401": 1, "500": 1}


async def test_client_that_left_is_counted_and_its_cancellation_passed_on(edge: Edge) -> None:
    """Nobody is answered, but it happened."""
    with pytest.raises(asyncio.CancelledError):
        await edge.ask(fails(asyncio.CancelledError()), anonymous=True)
    assert edge.counted() == {"499": 1}


async def test_trace_of_the_client_is_continued(edge: Edge) -> None:
    """And is the current one for the target."""
    header = f"00-{'ab' * 16}-{'cd' * 8}-01"

    async def traced(_: Exchange) -> Response:
        trace = current_trace()
        assert trace is not None
        return Response(body=trace.trace_hex.encode())

    response = await edge.ask(traced, anonymous=True, headers={b"traceparent": header.encode()})
    assert response.body.decode() == "ab" * 16
    assert dict(response.headers)[b"x-trace-id"].decode() == "ab" * 16
    assert current_trace() is None


@pytest.mark.parametrize(
    "header", [b"", b"nonsense", b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01"]
)
async def test_without_a_trace_a_new_one_begins(edge: Edge, header: bytes) -> None:
    """A header that is none does not break anything."""
    response = await edge.ask(anonymous=True, headers={b"traceparent": header})
    assert len(dict(response.headers)[b"x-trace-id"]) == 32
