"""Sends a bank to the running platform: the Ark first, then the customer centre.

Both imports are idempotent, so a load that was cut short is simply run again.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc

from bank import Bank, Columns, Progress, open_bank
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import ownership_pb2
from mesh.errors import ErrorView

RECEIPT = "loaded.json"
"""Beside the manifest: which bank was loaded last, and when the Ark took it in."""

BATCH = 2_000
WORKERS = 4
"""Batches in flight; at most as many again wait."""

SENIOR_AGE = 65
"""From this age a customer is a senior; the age itself is not sent."""

TIMEOUT_S = 30.0
ATTEMPTS = 5
_FIRST_DELAY_S = 0.2
_DAY_S = 86_400
_RETRIED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}

_MANAGER = ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER
_AGENT = ownership_pb2.OWNER_KIND_DIRECT_OPERATIONS
"""In a bank every customer has an owner, and agents alone have no branch."""

_COLUMNS = (
    "cif",
    "name",
    "phone",
    "id_card",
    "aum_fen",
    "tier",
    "risk_grade",
    "risk_expiry",
    "owner_id",
    "branch_id",
    "has_wecom",
    "age",
)

Answer = TypeVar("Answer")
Sleep = Callable[[float], None]


class LoadError(Exception):
    """The platform took the bank in but does not hold it; the text says what differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """How a load ended: customers of the bank, and whether they were there already."""

    customers: int
    skipped: bool


def load_bank(
    directory: Path,
    ark: ark_pb2_grpc.ArkServiceStub,
    customer: customer_pb2_grpc.CustomerServiceStub,
    progress: Progress,
    *,
    sleep: Sleep = time.sleep,
) -> LoadResult:
    """Load the bank in `directory`; nothing is sent when the platform holds it already.

    The stubs are of blocking channels that act as the loader. A call that is
    refused for want of room or time is tried again, `ATTEMPTS` times in all.

    Raises:
        BankError: there is no sound bank in `directory`.
        LoadError: the platform answers otherwise than its contract says.
        grpc.RpcError: a call failed for good.
    """
    bank = open_bank(directory)
    total = bank.manifest.customers
    loader = _Loader(ark, customer, sleep)
    if _receipt(directory) == loader.receipt(bank):
        return LoadResult(customers=total, skipped=True)
    progress(0, total)
    done = 0
    for stored in loader.send_all(bank.customers(_COLUMNS, batch_size=BATCH)):
        done += stored
        progress(done, total)
    receipt = loader.receipt(bank)
    if receipt is None:
        raise LoadError(f"the platform holds fewer customers than the {total:,} of the bank")
    # A folder that cannot be written to only costs the next run its short cut.
    with suppress(OSError):
        (directory / RECEIPT).write_text(json.dumps(receipt) + "\n")
    return LoadResult(customers=done, skipped=False)


class _Loader:
    def __init__(
        self,
        ark: ark_pb2_grpc.ArkServiceStub,
        customer: customer_pb2_grpc.CustomerServiceStub,
        sleep: Sleep,
    ) -> None:
        self._ark = ark
        self._customer = customer
        self._sleep = sleep

    def receipt(self, bank: Bank) -> dict[str, str | int] | None:
        """What tells this load from any other; None when customers are missing."""
        in_ark = self._call(
            lambda: self._ark.GetStatistics(ark_pb2.GetStatisticsRequest(), timeout=TIMEOUT_S)
        )
        in_centre = self._call(
            lambda: self._customer.GetStatistics(
                customer_pb2.GetStatisticsRequest(), timeout=TIMEOUT_S
            )
        )
        if min(in_ark.customers, in_centre.customers) < bank.manifest.customers:
            return None
        return {
            "manifest": bank.manifest.digest,
            "import_time": in_ark.import_time.ToJsonString(),
            "in_ark": in_ark.customers,
            "in_customer": in_centre.customers,
        }

    def send_all(self, batches: Iterable[Columns]) -> Iterable[int]:
        """Send the batches, a few at once; answers the size of each in order."""
        waiting: deque[Future[int]] = deque()
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="load") as pool:
            try:
                for batch in batches:
                    waiting.append(pool.submit(self._send, batch))
                    if len(waiting) >= 2 * WORKERS:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _send(self, batch: Columns) -> int:
        records = ark_pb2.ImportCustomersRequest(records=_records(batch))
        tokens = self._call(lambda: self._ark.ImportCustomers(records, timeout=TIMEOUT_S)).tokens
        if [token.cif for token in tokens] != batch["cif"].tolist():
            raise LoadError("the Ark's tokens are not in the order of the records")
        request = customer_pb2.ImportCustomersRequest(
            customers=_customers(batch, [token.customer_id for token in tokens])
        )
        stored = self._call(
            lambda: self._customer.ImportCustomers(request, timeout=TIMEOUT_S)
        ).stored
        if stored != len(tokens):
            raise LoadError(f"the customer centre stored {stored} of {len(tokens)} customers")
        return stored

    def _call(self, call: Callable[[], Answer]) -> Answer:
        for attempt in range(ATTEMPTS - 1):
            try:
                return call()
            except grpc.RpcError as error:
                view = ErrorView.from_rpc(error)
                if view.code not in _RETRIED:
                    raise
                self._sleep(view.retry_after_s or _FIRST_DELAY_S * 2**attempt)
        return call()


def _records(batch: Columns) -> list[ark_pb2.CustomerRecord]:
    names = ("cif", "name", "phone", "id_card", "aum_fen")
    rows = zip(*(batch[name].tolist() for name in names), strict=True)
    return [
        ark_pb2.CustomerRecord(cif=cif, name=name, phone=phone, id_card=id_card, aum_fen=aum_fen)
        for cif, name, phone, id_card, aum_fen in rows
    ]


def _customers(batch: Columns, tokens: list[int]) -> list[customer_pb2.Customer]:
    names = ("tier", "risk_grade", "owner_id", "branch_id", "has_wecom", "age")
    rows = zip(*(batch[name].tolist() for name in names), strict=True)
    customers = [
        customer_pb2.Customer(
            customer_id=token,
            tier=tier,
            risk_grade=grade,
            owner_id=owner,
            branch_id=branch,
            has_wecom=wecom,
            owner_kind=_MANAGER if branch else _AGENT,
            senior=age >= SENIOR_AGE,
        )
        for token, (tier, grade, owner, branch, wecom, age) in zip(tokens, rows, strict=True)
    ]
    days = batch["risk_expiry"].astype("int64").tolist()
    for customer, day in zip(customers, days, strict=True):
        if customer.risk_grade:
            customer.risk_grade_expire_time.seconds = day * _DAY_S
    return customers


def _receipt(directory: Path) -> dict[str, str | int] | None:
    try:
        stored = json.loads((directory / RECEIPT).read_text())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
