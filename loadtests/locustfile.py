"""Load on a running demo platform: over REST, over generated stubs, over the sequencer's SDK.

    locust -f loadtests/locustfile.py --headless -u 30 -r 10 -t 30s

Locust is gevent: stubs are used over blocking channels, never grpc.aio.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.client import OK
from pathlib import Path
from typing import Any, cast

import grpc
from grpc.experimental.gevent import init_gevent
from locust import FastHttpUser, User, between, constant_pacing, events, task
from locust.exception import RescheduleTask, ResponseError

from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.sequencer.v1 import sequencer_pb2, sequencer_pb2_grpc
from loadtests.report import Report
from loadtests.session import DEMO_PASSWORD, Session, sign_on
from loadtests.targets import Targets
from mesh import ErrorView, blocking_channel
from mesh.channel import bearer
from sequencer.sdk import GrpcRangeSource, Sequencer, SequencerError

USER, ADMINISTRATOR = "loadtest", "admin"
SEQUENCE = "loadtest.ids"
IDS_PER_EVENT = 10_000
WRITES_PER_REPETITION = 10
"""One write in so many is sent again with the same Idempotency-Key."""


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_arguments(parser: Any) -> None:
    """Let services on other machines be named, and the report be written."""
    parser.add_argument("--target", action="append", default=[], metavar="NAME=HOST:PORT")
    parser.add_argument("--report", default="", metavar="FILE")


@events.init.add_listener  # type: ignore[untyped-decorator]
def find_platform(environment: Any, **_: Any) -> None:
    """Find the services before the first user or channel is made."""
    init_gevent()
    environment.targets = Targets(environment.parsed_options.target)
    environment.host = environment.host or environment.targets.gateway()


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def create_sequence(environment: Any, **_: Any) -> None:
    """Create the sequence that SDK users take ids from, unless it is there."""
    targets = environment.targets
    request = sequencer_pb2.CreateSequenceRequest(sequence=sequencer_pb2.Sequence(name=SEQUENCE))
    with blocking_channel(targets.grpc("identity")) as identity:
        token = sign_on(identity, ADMINISTRATOR).access_token
    with blocking_channel(targets.grpc("sequencer"), bearer(token)) as channel:
        sequencer_pb2_grpc.SequencerServiceStub(channel).CreateSequence(request)


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def write_report(environment: Any, **_: Any) -> None:
    """Write what was counted, once all users have stopped."""
    if environment.parsed_options.report:
        Report.collect(environment).write(Path(environment.parsed_options.report))


def answered(response: Any) -> Any:
    """The JSON of a successful answer; fails the request otherwise."""
    body = response.js if isinstance(response.js, dict) else {}
    assert response.status_code == OK, f"status {response.status_code} {body.get('reason', '')}"
    return body


class RestUser(FastHttpUser):
    """A relationship manager at the workbench, through the gateway."""

    wait_time = between(0.05, 0.15)

    def on_start(self) -> None:
        """Begin with nothing; the first request signs on."""
        self._session = Session(self._sign_on)
        self._book: list[str] = []

    @task(2)
    def list_book(self) -> None:
        """The first page of the book."""
        with self._call("GET", "/v1/customers?page_size=20", "/v1/customers") as response:
            self._book = [customer["customerId"] for customer in answered(response)["customers"]]
            assert self._book, "The book is empty"

    @task(6)
    def read_portrait(self) -> None:
        """The portrait of a customer."""
        customer, path = self._any_customer(), "/v1/customers/{}/portrait"
        with self._call("GET", path.format(customer), path.format("ID")) as response:
            shown = answered(response)["customer"]["customerId"]
            assert shown == customer, "The portrait of another customer"

    @task(2)
    def write_follow_up(self) -> None:
        """A follow-up; some are sent twice, and the second answer must be the first."""
        customer, key = self._any_customer(), secrets.token_hex(16)
        first = self._write(customer, key)
        if first and not secrets.randbelow(WRITES_PER_REPETITION):
            self._write(customer, key, expected=first)

    def _any_customer(self) -> str:
        if not self._book:
            self.list_book()
        if not self._book:
            raise RescheduleTask
        return secrets.choice(self._book)

    def _write(self, customer: str, key: str, expected: str = "") -> str:
        """The id of the follow-up written; empty when that failed."""
        path, written = "/v1/customers/{}/follow-ups", ""
        body = {"summary": "Load test", "nextStep": "None"}
        with self._call(
            "POST", path.format(customer), path.format("ID"), json=body, key=key
        ) as response:
            written = str(answered(response)["followUpId"])
            assert expected in ("", written), "A repeated request was carried out twice"
        return written

    def _call(
        self, method: str, path: str, name: str, key: str = "", **options: Any
    ) -> AbstractContextManager[Any]:
        headers = {"Authorization": self._session.header()}
        if key:
            headers["Idempotency-Key"] = key
        return cast(
            "AbstractContextManager[Any]",
            self.rest(method, path, headers, name=name, **options),
        )

    def _sign_on(self) -> tuple[str, float]:
        body = {"username": USER, "password": DEMO_PASSWORD}
        with self.rest("POST", "/v1/sessions", json=body) as response:
            grant = answered(response)
            return grant["accessToken"], grant["expiresIn"]
        raise RescheduleTask


class MeasuredUser(User):
    """A user of a Python client; its calls are reported by `measured`."""

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
            context={},
        )

    def _address(self, service: str) -> str:
        targets: Targets = self.environment.targets
        return targets.grpc(service)


class StubUser(MeasuredUser):
    """A relationship manager's program, on generated stubs."""

    wait_time = between(0.05, 0.15)

    def on_start(self) -> None:
        """Sign on and open a channel."""
        super().on_start()
        channel = self._open.enter_context(
            blocking_channel(self._address("customer"), self._session.proofs)
        )
        self._customers = customer_pb2_grpc.CustomerServiceStub(channel)
        self._book: list[int] = []

    @task(2)
    def list_book(self) -> None:
        """The first page of the book."""
        with self.measured("gRPC", "CustomerService/ListCustomers"):
            page = self._customers.ListCustomers(customer_pb2.ListCustomersRequest(page_size=20))
            self._book = [customer.customer_id for customer in page.customers]
            assert self._book, "The book is empty"

    @task(8)
    def read_portrait(self) -> None:
        """The portrait of a customer."""
        if not self._book:
            self.list_book()
            return
        request = customer_pb2.GetPortraitRequest(customer_id=secrets.choice(self._book))
        with self.measured("gRPC", "CustomerService/GetPortrait"):
            portrait = self._customers.GetPortrait(request).portrait
            assert portrait.customer.customer_id == request.customer_id, "Another customer"


class SdkUser(MeasuredUser):
    """A program that needs many ids. One request stands for 10,000 of them."""

    wait_time = constant_pacing(0.1)

    def on_start(self) -> None:
        """Sign on and begin to hold ids."""
        super().on_start()
        source = GrpcRangeSource(self._address("sequencer"), self._session.proofs)
        ids = self._open.enter_context(Sequencer(source)).sequence(SEQUENCE)
        self._next_id = ids.next_id
        self._last = 0

    @task
    def take_ids(self) -> None:
        """10,000 ids, each above the one before."""
        next_id, last = self._next_id, self._last
        with self.measured("SDK", f"next_id x {IDS_PER_EVENT:,}"):
            for _ in range(IDS_PER_EVENT):
                taken = next_id()
                assert taken > last, "An id is not above the one before"
                last = taken
        self._last = last
