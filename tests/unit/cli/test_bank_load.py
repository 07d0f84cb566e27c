from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import protovalidate
import pytest

from bank import TIERS, Bank, BankError, Plan, generate, open_bank, parse_scale
from bank.config import NEVER_ASSESSED
from cli.load import ATTEMPTS, BATCH, RECEIPT, LoadError, LoadResult, load_bank
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import ownership_pb2

CUSTOMERS = 5_000
BATCHES = 3


@dataclass
class Platform:
    """What an Ark and a customer centre hold in memory, and how they are to fail."""

    records: dict[str, ark_pb2.CustomerRecord] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    customers: dict[int, customer_pb2.Customer] = field(default_factory=dict)
    imports: int = 0
    at_once: int = 0
    most_at_once: int = 0
    failures: list[grpc.StatusCode] = field(default_factory=list)
    shuffle: bool = False
    forgetful: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def import_records(
        self, request: ark_pb2.ImportCustomersRequest, context: grpc.ServicerContext
    ) -> ark_pb2.ImportCustomersResponse:
        with self.lock:
            self.imports += 1
            if self.failures:
                context.abort(self.failures.pop(), "not now")
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        protovalidate.validate(request)
        with self.lock:
            for record in request.records:
                self.records[record.cif] = record
                self.tokens.setdefault(record.cif, 1_000 + len(self.tokens))
            self.at_once -= 1
        numbers = [record.cif for record in request.records]
        if self.shuffle:
            numbers.reverse()
        return ark_pb2.ImportCustomersResponse(
            tokens=[ark_pb2.CustomerToken(cif=cif, customer_id=self.tokens[cif]) for cif in numbers]
        )

    def ark_statistics(self, _: Any, __: Any) -> ark_pb2.GetStatisticsResponse:
        answer = ark_pb2.GetStatisticsResponse(customers=len(self.records))
        answer.import_time.seconds = self.imports
        return answer

    def import_customers(
        self, request: customer_pb2.ImportCustomersRequest, _: Any
    ) -> customer_pb2.ImportCustomersResponse:
        with self.lock:
            for customer in request.customers:
                self.customers[customer.customer_id] = customer
        stored = len(request.customers) - self.forgetful
        return customer_pb2.ImportCustomersResponse(stored=stored)

    def centre_statistics(self, _: Any, __: Any) -> customer_pb2.GetStatisticsResponse:
        return customer_pb2.GetStatisticsResponse(customers=len(self.customers))


def handlers(service: str, imports: Any, request: Any, statistics: Any) -> grpc.GenericRpcHandler:
    def handler(answer: Any, kind: Any) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=kind.FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )

    nothing = ark_pb2.GetStatisticsRequest
    return grpc.method_handlers_generic_handler(
        service,
        {
            "ImportCustomers": handler(imports, request),
            "GetStatistics": handler(statistics, nothing),
        },
    )


Stubs = tuple[ark_pb2_grpc.ArkServiceStub, customer_pb2_grpc.CustomerServiceStub]


@contextmanager
def serving(platform: Platform) -> Iterator[Stubs]:
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers(
            (
                handlers(
                    "engine.ark.v1.ArkService",
                    platform.import_records,
                    ark_pb2.ImportCustomersRequest,
                    platform.ark_statistics,
                ),
                handlers(
                    "engine.customer.v1.CustomerService",
                    platform.import_customers,
                    customer_pb2.ImportCustomersRequest,
                    platform.centre_statistics,
                ),
            )
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stubs = (
                ark_pb2_grpc.ArkServiceStub(channel),
                customer_pb2_grpc.CustomerServiceStub(channel),
            )
            yield stubs
        server.stop(None).wait()


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def stubs(platform: Platform) -> Iterator[Stubs]:
    with serving(platform) as stubs:
        yield stubs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate(Plan(scale=parse_scale(str(CUSTOMERS)), seed=1), tmp_path / "bank")
    return tmp_path / "bank"


@pytest.fixture
def bank(folder: Path) -> Bank:
    return open_bank(folder)


class Told:
    """Keeps what progress and sleep were told."""

    def __init__(self) -> None:
        self.progress: list[tuple[int, int]] = []
        self.sleeps: list[float] = []

    def __call__(self, done: int, total: int) -> None:
        self.progress.append((done, total))


def load(folder: Path, stubs: Stubs, told: Told | None = None) -> LoadResult:
    told = told or Told()
    return load_bank(folder, *stubs, told, sleep=told.sleeps.append)


def test_every_customer_arrives_whole(
    folder: Path, bank: Bank, platform: Platform, stubs: Stubs
) -> None:
    """The Ark gets the personal data, the customer centre the rest by token."""
    assert load(folder, stubs) == LoadResult(customers=CUSTOMERS, skipped=False)
    (rows,) = bank.customers(batch_size=CUSTOMERS)
    for at, cif in enumerate(rows["cif"].tolist()):
        record = platform.records[cif]
        personal = (record.name, record.phone, record.id_card, record.aum_fen)
        assert personal == tuple(rows[n][at] for n in ("name", "phone", "id_card", "aum_fen"))
        customer = platform.customers[platform.tokens[cif]]
        standing = (customer.tier, customer.risk_grade, customer.owner_id, customer.branch_id)
        columns = ("tier", "risk_grade", "owner_id", "branch_id")
        assert standing == tuple(rows[n][at] for n in columns)
        assert customer.has_wecom == rows["has_wecom"][at]
        assert customer.senior == (rows["age"][at] >= 65)


def test_managers_and_agents_are_told_apart(
    folder: Path, bank: Bank, platform: Platform, stubs: Stubs
) -> None:
    """Every owner is sent with the kind that the bank's list of staff shows him by."""
    load(folder, stubs)
    roles = {"RM": "RELATIONSHIP_MANAGER", "DO": "DIRECT_OPERATIONS"}
    staff = bank.staff()
    role_of = dict(zip(staff["staff_id"].tolist(), staff["role"].tolist(), strict=True))
    kinds = {
        (roles[role_of[customer.owner_id]], ownership_pb2.OwnerKind.Name(customer.owner_kind))
        for customer in platform.customers.values()
    }
    assert kinds == {(role, f"OWNER_KIND_{role}") for role in roles.values()}


def test_expiry_is_midnight_of_the_day_and_absent_without_grade(
    folder: Path, bank: Bank, platform: Platform, stubs: Stubs
) -> None:
    """Nobody who was never assessed has an expiry."""
    load(folder, stubs)
    (rows,) = bank.customers(["cif", "risk_grade", "risk_expiry"], batch_size=CUSTOMERS)
    days = rows["risk_expiry"].tolist()
    for cif, grade, day in zip(rows["cif"], rows["risk_grade"], days, strict=True):
        customer = platform.customers[platform.tokens[cif]]
        assert customer.HasField("risk_grade_expire_time") == bool(grade)
        if grade:
            found = customer.risk_grade_expire_time.ToDatetime()
            assert (found.date(), found.hour, found.minute) == (day, 0, 0)


def test_tiers_and_grades_are_numbered_as_in_the_contract() -> None:
    """The bank's numbers can be sent as they are."""
    tiers = dict(customer_pb2.Tier.items())
    for number, name in enumerate(TIERS, start=1):
        assert tiers[f"TIER_{name}"] == number
    grades = dict(customer_pb2.RiskGrade.items())
    assert grades["RISK_GRADE_UNSPECIFIED"] == NEVER_ASSESSED
    assert [grades[f"RISK_GRADE_C{n}"] for n in range(1, 6)] == [1, 2, 3, 4, 5]


def test_progress_ends_with_everybody(folder: Path, stubs: Stubs) -> None:
    """Told at the start and after each batch."""
    told = Told()
    load(folder, stubs, told)
    assert told.progress == [
        (0, CUSTOMERS),
        (BATCH, CUSTOMERS),
        (2 * BATCH, CUSTOMERS),
        (CUSTOMERS, CUSTOMERS),
    ]


def test_a_second_load_sends_nothing(folder: Path, platform: Platform, stubs: Stubs) -> None:
    """A bank that was loaded completely is recognised by the counts."""
    load(folder, stubs)
    assert load(folder, stubs) == LoadResult(customers=CUSTOMERS, skipped=True)
    assert platform.imports == BATCHES


def test_loading_again_changes_nothing(folder: Path, platform: Platform, stubs: Stubs) -> None:
    """Without the receipt everything is sent again, and the platform is as before."""
    load(folder, stubs)
    before = dict(platform.tokens), dict(platform.records), dict(platform.customers)
    (folder / RECEIPT).unlink()
    assert not load(folder, stubs).skipped
    assert before == (platform.tokens, platform.records, platform.customers)


def test_a_fresh_platform_is_loaded_in_spite_of_an_old_receipt(folder: Path, stubs: Stubs) -> None:
    """The receipt of another platform, or of one whose data was removed, does not count."""
    load(folder, stubs)
    fresh = Platform()
    with serving(fresh) as others:
        assert not load(folder, others).skipped
    assert len(fresh.customers) == CUSTOMERS


def test_another_bank_of_the_same_size_is_loaded(
    folder: Path, tmp_path: Path, platform: Platform, stubs: Stubs
) -> None:
    """Equal counts alone are no proof."""
    load(folder, stubs)
    generate(Plan(scale=parse_scale(str(CUSTOMERS)), seed=2), tmp_path / "other")
    assert not load(tmp_path / "other", stubs).skipped
    assert len(platform.customers) == 2 * CUSTOMERS


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_spoiled_receipt_is_no_receipt(folder: Path, stubs: Stubs, text: str) -> None:
    """Whatever stands in it, the bank is loaded again."""
    load(folder, stubs)
    (folder / RECEIPT).write_text(text)
    assert not load(folder, stubs).skipped


def test_a_load_that_was_cut_short_is_completed(
    folder: Path, platform: Platform, stubs: Stubs
) -> None:
    """Customers that had arrived keep their tokens, and the rest arrive."""

    def interrupt(done: int, _: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_bank(folder, *stubs, interrupt)
    early = dict(platform.tokens)
    assert early
    assert not load(folder, stubs).skipped
    assert len(platform.customers) == CUSTOMERS
    assert early.items() <= platform.tokens.items()


def test_refusals_for_want_of_room_are_tried_again(
    folder: Path, platform: Platform, stubs: Stubs
) -> None:
    """Each time the wait is longer, and in the end all are there."""
    platform.failures = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED]
    told = Told()
    load(folder, stubs, told)
    assert len(platform.customers) == CUSTOMERS
    assert len(told.sleeps) == 2


def test_a_platform_that_stays_away_ends_the_load(
    folder: Path, platform: Platform, stubs: Stubs
) -> None:
    """Attempts are bounded, and the error is the platform's."""
    platform.failures = [grpc.StatusCode.UNAVAILABLE] * BATCHES * ATTEMPTS
    with pytest.raises(grpc.RpcError, match="not now"):
        load(folder, stubs)
    assert not platform.customers


def test_other_refusals_are_not_tried_again(folder: Path, platform: Platform, stubs: Stubs) -> None:
    """What will fail again fails at once."""
    platform.failures = [grpc.StatusCode.PERMISSION_DENIED] * BATCHES
    told = Told()
    with pytest.raises(grpc.RpcError):
        load(folder, stubs, told)
    assert told.sleeps == []


def test_calls_in_flight_are_bounded(tmp_path: Path, platform: Platform, stubs: Stubs) -> None:
    """However large the bank, the Ark sees a few batches at once."""
    generate(Plan(scale=parse_scale("40000"), seed=1), tmp_path / "large")
    load(tmp_path / "large", stubs)
    assert 1 <= platform.most_at_once <= 4


def test_tokens_in_another_order_are_refused(
    folder: Path, platform: Platform, stubs: Stubs
) -> None:
    """No customer gets somebody else's token."""
    platform.shuffle = True
    with pytest.raises(LoadError, match="order"):
        load(folder, stubs)
    assert not platform.customers


def test_customers_that_were_not_stored_are_missed(
    folder: Path, platform: Platform, stubs: Stubs
) -> None:
    """An answer that counts fewer than were sent ends the load."""
    platform.forgetful = True
    with pytest.raises(LoadError, match=r"stored (1999 of 2000|999 of 1000)"):
        load(folder, stubs)


def test_a_spoiled_bank_is_not_sent(folder: Path, platform: Platform, stubs: Stubs) -> None:
    """The files are compared with the manifest first."""
    with (folder / "customers" / "00000.parquet").open("ab") as file:
        file.write(b" ")
    with pytest.raises(BankError):
        load(folder, stubs)
    assert platform.imports == 0
