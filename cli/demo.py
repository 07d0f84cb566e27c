"""`engine demo`: a relationship manager's morning, against the running platform.

Every number printed is measured while it runs.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

from cli.connect import demo_runs, find, load_settings
from cli.loop import loans, loop
from cli.output import fail
from cli.token import DEMO_PASSWORD

if TYPE_CHECKING:
    from engine.ums.v1 import ums_pb2

SUMMARY = "Asked about the maturity of the deposit; wants a call on Friday."
IDS = 1_000_000
TRACED = {"gateway", "customer", "ark"}
TRACE_WAIT_S = 15.0


app = typer.Typer()
app.command("loop")(loop)
app.command("loans")(loans)


@app.callback(invoke_without_command=True)
def demo(context: typer.Context) -> None:
    """Play a relationship manager's morning: sign-on, book, portrait, follow-ups, ids, a trace.

    'engine demo loop' plays the golden loop: from 10,000 events to a measured result.
    'engine demo loans' plays a smaller one: from an offer viewed to a loan drawn.
    """
    if context.invoked_subcommand is None:
        _morning()


def _morning() -> None:
    settings = load_settings()
    if not demo_runs(settings):
        fail("the demo needs demo users", "Start the platform with 'make run' (ENGINE_DEMO=1).")
    rest = Rest(f"http://{find('gateway').http}")
    typer.secho(f"Against {rest.base}", dim=True)
    with step("rm001 signs on through the gateway") as say:
        rest.sign_on("rm001", DEMO_PASSWORD)
        say(f"token good for {rest.expires_in} s")
    with step("opens his book") as say:
        book = rest.get("/v1/customers?page_size=20&order_by=tier%20desc")["customers"]
        say(f"{len(book)} customers on the first page, best tier {book[0]['tier']}")
    mine = book[0]["customerId"]
    with step("reads a portrait; the name comes masked from the Ark") as say:
        portrait = rest.get(f"/v1/customers/{mine}/portrait")
        say(f"{portrait['name']}  {portrait['phone']}  {portrait['aumBand']} yuan")
    with step("writes a follow-up over REST") as say:
        say(f"follow-up {_follow_up_by_rest(rest, mine)}")
    with step("writes another by generated stub") as say:
        say(f"follow-up {_follow_up_by_stub(rest.token, mine)}")
    with step("asks for another branch's customer") as say:
        say(_refused(rest, _customer_of("rm002", rest.base)))
    with step(f"takes {IDS:,} ids from the SDK") as say:
        say(_take_ids())
    _show_trace(rest.trace_of_portrait(mine))


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Print a step with what it found and the time that it took."""
    found: list[str] = []
    began = time.perf_counter()
    yield found.append
    took_ms = (time.perf_counter() - began) * 1e3
    typer.echo(f"{title:<55} {took_ms:8.1f} ms   {' '.join(found)}")


class Rest:
    """A small REST client of the gateway, signed on as one user."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.token = ""
        self.expires_in = 0

    def sign_on(self, username: str, password: str) -> None:
        """Take a token for the calls that follow."""
        grant = self.post("/v1/sessions", {"username": username, "password": password})
        self.token, self.expires_in = grant["accessToken"], grant["expiresIn"]

    def get(self, path: str, **headers: str) -> Any:
        """The JSON at `path`."""
        return self._call("GET", path, None, headers)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        """What `path` answers to `body`."""
        return self._call("POST", path, json.dumps(body).encode(), headers)

    def trace_of_portrait(self, customer_id: str) -> str:
        """Read a portrait in a trace of its own and return the trace id."""
        trace_id = uuid.uuid4().hex
        header = f"00-{trace_id}-{uuid.uuid4().hex[:16]}-01"
        self.get(f"/v1/customers/{customer_id}/portrait", traceparent=header)
        return trace_id

    def status_of(self, path: str) -> tuple[int, dict[str, Any]]:
        """HTTP status and problem of a call that is expected to be refused."""
        from urllib.error import HTTPError

        try:
            self.get(path)
        except HTTPError as error:
            problem: dict[str, Any] = json.load(error)
            return error.code, problem
        return 200, {}

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        from urllib.request import Request, urlopen

        request = Request(self.base + path, data=body, method=method)  # noqa: S310 - our gateway
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        with urlopen(request, timeout=10) as response:  # noqa: S310
            return json.load(response)


def _follow_up_by_rest(rest: Rest, customer_id: str) -> str:
    path = f"/v1/customers/{customer_id}/follow-ups"
    answer = rest.post(path, {"summary": SUMMARY}, Idempotency_Key=str(uuid.uuid4()))
    return f"{answer['followUpId']} by {answer['author']}"


def _follow_up_by_stub(token: str, customer_id: str) -> str:
    from cli.connect import blocking_channel
    from engine.customer.v1 import customer_pb2, customer_pb2_grpc

    request = customer_pb2.CreateFollowUpRequest(
        customer_id=int(customer_id),
        follow_up=customer_pb2.FollowUp(summary=SUMMARY),
        request_id=str(uuid.uuid4()),
    )
    with blocking_channel("customer", token=token) as channel:
        stub = customer_pb2_grpc.CustomerServiceStub(channel)
        follow_up = stub.CreateFollowUp(request).follow_up
    return f"{follow_up.follow_up_id} by {follow_up.author}"


def _customer_of(username: str, base: str) -> str:
    """A customer that another user owns."""
    other = Rest(base)
    other.sign_on(username, DEMO_PASSWORD)
    customer_id: str = other.get("/v1/customers?page_size=1")["customers"][0]["customerId"]
    return customer_id


def _refused(rest: Rest, customer_id: str) -> str:
    status, problem = rest.status_of(f"/v1/customers/{customer_id}/portrait")
    if status == 200:
        fail("another branch's customer was shown", "Stop the platform: this must not happen.")
    return f"{status} {problem['title']}"


def _take_ids() -> str:
    from itertools import repeat

    from cli.connect import sequencer

    with sequencer() as ids:
        next_id = ids.sequence("demo.ids").next_id
        first = next_id()
        began = time.perf_counter()
        for _ in repeat(None, IDS - 1):
            last = next_id()
        rate = (IDS - 1) / (time.perf_counter() - began)
    return f"{first} … {last}, {rate / 1e6:.1f} M ids/s"


def _show_trace(trace_id: str) -> None:
    from rich.console import Console

    from cli.trace import PIPE_WIDTH, render_trace

    typer.echo(f"\nThe way of one portrait (engine trace {trace_id}):")
    Console(width=PIPE_WIDTH, highlight=False).print(render_trace(_collected(trace_id)))


def _collected(trace_id: str) -> ums_pb2.Trace:
    """The trace once its spans have arrived from all services, or what is there after 15 s."""
    import grpc

    from cli.connect import blocking_channel
    from engine.ums.v1 import ums_pb2, ums_pb2_grpc

    request = ums_pb2.GetTraceRequest(trace_id=trace_id)
    trace = ums_pb2.Trace(trace_id=trace_id)
    limit = time.monotonic() + TRACE_WAIT_S
    with blocking_channel("ums") as channel:
        stub = ums_pb2_grpc.UmsServiceStub(channel)
        while time.monotonic() < limit and not {span.service for span in trace.spans} >= TRACED:
            time.sleep(0.2)
            with suppress(grpc.RpcError):  # not found until the first span is there
                trace = stub.GetTrace(request).trace
    return trace
