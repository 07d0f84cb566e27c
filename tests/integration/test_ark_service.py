"""The Data Ark over real sockets: what goes in clear comes out masked, and on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
import pytest_asyncio

from centers.ark.app import BLUEPRINT
from centers.ark.service import Ark
from centers.ark.store import ArkStore
from centers.ark.tables import access_log
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from mesh.clock import SystemClock
from mesh.errors import ErrorView
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL_FIELDS = [
    ark_pb2.ARK_FIELD_NAME,
    ark_pb2.ARK_FIELD_PHONE,
    ark_pb2.ARK_FIELD_ID_CARD,
    ark_pb2.ARK_FIELD_CIF,
    ark_pb2.ARK_FIELD_AUM,
]


def record(number: int, **changes: Any) -> ark_pb2.CustomerRecord:
    values: dict[str, Any] = {
        "cif": f"{1000000000 + number}",
        "name": "王小明",
        "phone": f"138{number:08}",
        "id_card": f"33010219900101{number % 10_000:04}",
        "aum_fen": 6_000_000,
    }
    return ark_pb2.CustomerRecord(**(values | changes))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            await start_ark(mesh)
            yield mesh


async def start_ark(mesh: Mesh) -> None:
    mesh.trust("loader", {"ark.import"})
    mesh.trust("customer", {"ark.query"})
    mesh.trust(BLUEPRINT.name, BLUEPRINT.rights)
    await mesh.start(SEQUENCER)
    await mesh.start(BLUEPRINT)


@pytest.fixture
def loader(mesh: Mesh) -> ark_pb2_grpc.ArkServiceAsyncStub:
    return ark_pb2_grpc.ArkServiceStub(mesh.channel("ark", caller="loader"))


@pytest.fixture
def reader(mesh: Mesh) -> ark_pb2_grpc.ArkServiceAsyncStub:
    token = mesh.token("rm001", permissions={"ark.query"})
    channel = mesh.channel("ark", token=token, caller="customer", purpose="service")
    return ark_pb2_grpc.ArkServiceStub(channel)


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def imported(loader: ark_pb2_grpc.ArkServiceAsyncStub, *numbers: int) -> list[int]:
    request = ark_pb2.ImportCustomersRequest(records=[record(number) for number in numbers])
    answer = await loader.ImportCustomers(request)
    assert [token.cif for token in answer.tokens] == [one.cif for one in request.records]
    return [token.customer_id for token in answer.tokens]


async def test_customers_come_out_masked(
    loader: ark_pb2_grpc.ArkServiceAsyncStub, reader: ark_pb2_grpc.ArkServiceAsyncStub
) -> None:
    """All that can be asked of a customer is masked, and dated."""
    (token,) = await imported(loader, 1)
    answer = await reader.Query(ark_pb2.QueryRequest(customer_ids=[token], fields=ALL_FIELDS))
    (shown,) = answer.records
    assert shown.name == "王**"
    assert shown.phone == "138****0001"
    assert shown.id_card == "330***********0001"
    assert shown.cif == "********0001"
    assert shown.aum_band == "50k-200k"
    assert shown.as_of.seconds > 0


async def test_only_fields_asked_for_come_out(
    loader: ark_pb2_grpc.ArkServiceAsyncStub, reader: ark_pb2_grpc.ArkServiceAsyncStub
) -> None:
    """Fields that were not asked for are absent."""
    (token,) = await imported(loader, 2)
    fields = [ark_pb2.ARK_FIELD_AUM]
    answer = await reader.Query(ark_pb2.QueryRequest(customer_ids=[token], fields=fields))
    present = {field.name for field, _ in answer.records[0].ListFields()}
    assert present == {"customer_id", "aum_band", "as_of"}


async def test_known_customer_keeps_its_token(
    loader: ark_pb2_grpc.ArkServiceAsyncStub, reader: ark_pb2_grpc.ArkServiceAsyncStub
) -> None:
    """A second import answers the same token and shows the new data."""
    (token,) = await imported(loader, 3)
    again = ark_pb2.ImportCustomersRequest(records=[record(3, name="李雷")])
    assert (await loader.ImportCustomers(again)).tokens[0].customer_id == token
    fields = [ark_pb2.ARK_FIELD_NAME]
    answer = await reader.Query(ark_pb2.QueryRequest(customer_ids=[token], fields=fields))
    assert answer.records[0].name == "李**"


async def test_full_batch_gets_a_token_each(loader: ark_pb2_grpc.ArkServiceAsyncStub) -> None:
    """The largest import the contract allows gives as many tokens, all different."""
    tokens = await imported(loader, *range(100_000, 105_000))
    assert len(set(tokens)) == 5_000
    assert await imported(loader, *range(100_000, 105_000)) == tokens


async def test_repeated_number_stores_nothing(loader: ark_pb2_grpc.ArkServiceAsyncStub) -> None:
    """A number that occurs twice refuses the import without repeating it."""
    before = await loader.GetStatistics(ark_pb2.GetStatisticsRequest())
    request = ark_pb2.ImportCustomersRequest(records=[record(4), record(5), record(4)])
    refused = await refusal(loader.ImportCustomers(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "DUPLICATE_CUSTOMER"
    assert [violation.field for violation in refused.violations] == ["records[2].cif"]
    assert request.records[0].cif not in str(refused)
    after = await loader.GetStatistics(ark_pb2.GetStatisticsRequest())
    assert after.customers == before.customers


async def test_record_that_breaks_the_contract_is_not_repeated(
    loader: ark_pb2_grpc.ArkServiceAsyncStub,
) -> None:
    """The refusal names the field; the value stays out of it."""
    request = ark_pb2.ImportCustomersRequest(records=[record(6, phone="12345")])
    refused = await refusal(loader.ImportCustomers(request))
    assert refused.reason == "INVALID_ARGUMENT"
    assert refused.violations[0].field == "records[0].phone"
    assert "12345" not in str(refused)


async def test_statistics_count_customers(loader: ark_pb2_grpc.ArkServiceAsyncStub) -> None:
    """Statistics grow with an import and name its time."""
    before = await loader.GetStatistics(ark_pb2.GetStatisticsRequest())
    await imported(loader, 7, 8)
    after = await loader.GetStatistics(ark_pb2.GetStatisticsRequest())
    assert after.customers == before.customers + 2
    assert after.import_time.ToMicroseconds() > before.import_time.ToMicroseconds()


async def test_question_without_purpose_is_refused(
    mesh: Mesh, loader: ark_pb2_grpc.ArkServiceAsyncStub
) -> None:
    """Who does not say why he asks learns nothing."""
    (token,) = await imported(loader, 9)
    user = mesh.token("rm001", permissions={"ark.query"})
    request = ark_pb2.QueryRequest(customer_ids=[token], fields=ALL_FIELDS)
    for purpose in ("", "marketing"):
        channel = mesh.channel("ark", token=user, caller="customer", purpose=purpose)
        refused = await refusal(ark_pb2_grpc.ArkServiceStub(channel).Query(request))
        assert refused.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("permissions", "caller"),
    [({"customer.read"}, "customer"), ({"ark.query"}, ""), ({"ark.query"}, "loader")],
    ids=["user without right", "user without service", "service without right"],
)
async def test_user_and_service_must_both_hold_the_right(
    mesh: Mesh, permissions: set[str], caller: str
) -> None:
    """The Ark answers a trusted service on behalf of a user with the right, and nobody else."""
    token = mesh.token("rm001", permissions=permissions)
    channel = mesh.channel("ark", token=token, caller=caller, purpose="service")
    request = ark_pb2.QueryRequest(customer_ids=[1], fields=ALL_FIELDS)
    refused = await refusal(ark_pb2_grpc.ArkServiceStub(channel).Query(request))
    assert refused.code is grpc.StatusCode.PERMISSION_DENIED


async def test_question_is_on_record_with_who_asked(
    mesh: Mesh, reader: ark_pb2_grpc.ArkServiceAsyncStub
) -> None:
    """The log says who asked through which service, why, for how many, and which fields."""
    fields = [ark_pb2.ARK_FIELD_NAME, ark_pb2.ARK_FIELD_AUM]
    trace = ("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01")
    await reader.Query(
        ark_pb2.QueryRequest(customer_ids=[1, 2, 3], fields=fields), metadata=[trace]
    )
    async with mesh.store("ark") as store:
        newest = access_log.select().order_by(access_log.c.position.desc()).limit(1)
        (row,) = await store.fetch_all(newest)
    assert (row.user, row.service, row.purpose) == ("rm001", "customer", "service")
    assert (row.customers, row.fields, row.trace_id) == (3, "name,aum_fen", "ab" * 16)


async def test_chain_of_the_log_holds_under_concurrent_questions(
    mesh: Mesh, reader: ark_pb2_grpc.ArkServiceAsyncStub
) -> None:
    """Questions asked at once each have their entry, in one unbroken chain."""
    async with mesh.store("ark") as store:
        clock = SystemClock()
        ark_store = ArkStore(store, clock)
        ark = Ark(ark_store, ark_store, NoTokens(), clock)
        before = await ark.check_access_log()
        request = ark_pb2.QueryRequest(customer_ids=[1], fields=ALL_FIELDS)
        calls = [reader.Query(request) for _ in range(40)]
        for call in calls:
            await call
        after = await ark.check_access_log()
    assert after.broken_at is None
    assert after.entries == before.entries + 40


async def test_tokens_survive_a_restart(var: Path) -> None:
    """The key and the tokens are kept; a new start gives the same customer the same token."""
    tokens = []
    for _ in range(2):
        async with Mesh(var) as again:
            await start_ark(again)
            stub = ark_pb2_grpc.ArkServiceStub(again.channel("ark", caller="loader"))
            key = (again.settings.key_dir / "ark-permutation.key").read_bytes()
            tokens.append((key, await imported(stub, 1, 2)))
    assert tokens[0] == tokens[1]


class NoTokens:
    """A source of tokens for an Ark that only reads."""

    async def take(self, count: int) -> list[int]:
        raise AssertionError(f"{count} tokens wanted")
