"""A relationship manager's follow-ups: over REST, and with generated stubs past the gateway."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager
from http.client import OK
from typing import Any, Final, cast

from locust import FastHttpUser, between, task
from locust.exception import RescheduleTask

from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from loadtests.session import DEMO_PASSWORD, Session
from loadtests.users.measured import USER, NamedUser, SignedOnUser
from mesh import blocking_channel

WRITES_PER_REPETITION: Final = 10
"""One write in so many is sent again with the same Idempotency-Key."""


def answered(response: Any) -> Any:
    """The JSON of a successful answer; fails the request otherwise."""
    body = response.js if isinstance(response.js, dict) else {}
    assert response.status_code == OK, f"status {response.status_code} {body.get('reason', '')}"
    return body


class RestUser(NamedUser, FastHttpUser):
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


class StubUser(SignedOnUser):
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
