"""The customer centre over real sockets, with the real Ark and sequencer behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import grpc
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask

from centers.ark.app import BLUEPRINT as ARK
from centers.customer.app import BLUEPRINT
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import ownership_pb2, ownership_pb2_grpc, policy_pb2
from mesh.errors import ErrorView
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stub: TypeAlias = "customer_pb2_grpc.CustomerServiceAsyncStub"

RM, OTHER_RM, BRANCH, OTHER_BRANCH = 7, 8, 3, 4
CUSTOMERS = 30
"""Odd ones belong to RM, even ones to OTHER_RM; those above 20 to the other branch."""
SHARED, ASSISTANT = 22, 9
"""A customer of OTHER_RM in the other branch, and who helps with him."""

RIGHTS = frozenset({"customer.read", "customer.follow_up", "ark.query"})


def record(number: int) -> ark_pb2.CustomerRecord:
    return ark_pb2.CustomerRecord(
        cif=f"{1000000000 + number}",
        name="王小明",
        phone=f"138{number:08}",
        id_card=f"33010219900101{number:04}",
        aum_fen=number * 10_000_000,
    )


def customer(number: int, token: int) -> customer_pb2.Customer:
    row = customer_pb2.Customer(
        customer_id=token,
        tier=customer_pb2.Tier.ValueType(1 + number % 7),
        risk_grade=customer_pb2.RISK_GRADE_C2,
        owner_id=RM if number % 2 else OTHER_RM,
        branch_id=BRANCH if number <= 20 else OTHER_BRANCH,
        has_wecom=number % 3 == 0,
        senior=number % 5 == 0,
        owner_kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
    )
    row.shares.add(staff_id=row.owner_id, branch_id=row.branch_id, share_bp=10_000)
    if number == SHARED:
        row.shares[0].share_bp = 7_000
        row.shares.add(staff_id=ASSISTANT, branch_id=BRANCH, share_bp=3_000)
    row.risk_grade_expire_time.FromDatetime(datetime(2027, 1, 1, tzinfo=UTC))
    return row


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            trust(mesh)
            for blueprint in (SEQUENCER, ARK, BLUEPRINT):
                await mesh.start(blueprint)
            yield mesh


def trust(mesh: Mesh) -> None:
    rights = {"ark.import", "customer.import", "customer.batch_read", "ownership.read"}
    mesh.trust("loader", rights)
    for blueprint in (ARK, BLUEPRINT):
        mesh.trust(blueprint.name, blueprint.rights)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def book(mesh: Mesh) -> dict[int, int]:
    """The customers' tokens by number, after the import."""
    ark = ark_pb2_grpc.ArkServiceStub(mesh.channel("ark", caller="loader"))
    numbers = range(1, CUSTOMERS + 1)
    answer = await ark.ImportCustomers(ark_pb2.ImportCustomersRequest(records=map(record, numbers)))
    tokens = {number: one.customer_id for number, one in zip(numbers, answer.tokens, strict=True)}
    customers = [customer(number, token) for number, token in tokens.items()]
    stored = await loader(mesh).ImportCustomers(
        customer_pb2.ImportCustomersRequest(customers=customers)
    )
    assert stored.stored == CUSTOMERS
    return tokens


def loader(mesh: Mesh) -> Stub:
    return customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))


def caller(
    mesh: Mesh,
    scope: policy_pb2.Scope.ValueType = policy_pb2.SCOPE_OWN_BOOK,
    *,
    staff_id: int = RM,
    branch_id: int = BRANCH,
    permissions: Iterable[str] = RIGHTS,
) -> Stub:
    token = mesh.token(
        f"user{staff_id}",
        permissions=permissions,
        data_scope=scope,
        staff_id=staff_id,
        branch_id=branch_id,
    )
    return customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", token=token))


@pytest.fixture
def rm(mesh: Mesh) -> Stub:
    return caller(mesh)


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def listed(stub: Stub, **request: Any) -> list[customer_pb2.Customer]:
    found: list[customer_pb2.Customer] = []
    token, more = "", True
    while more:
        page = await stub.ListCustomers(
            customer_pb2.ListCustomersRequest(page_token=token, **request)
        )
        found.extend(page.customers)
        assert page.next_page_token != token or not token, "the list does not move on"
        token = page.next_page_token
        more = bool(token)
    return found


def get(token: int) -> customer_pb2.GetCustomerRequest:
    return customer_pb2.GetCustomerRequest(customer_id=token)


def new(token: int, summary: str, request_id: str = "") -> customer_pb2.CreateFollowUpRequest:
    return customer_pb2.CreateFollowUpRequest(
        customer_id=token,
        follow_up=customer_pb2.FollowUp(summary=summary, next_step="call again"),
        request_id=request_id,
    )


async def test_owner_reads_his_customer(rm: Stub, book: dict[int, int]) -> None:
    """A customer of the own book is answered as it was imported."""
    answer = await rm.GetCustomer(get(book[1]))
    assert answer.customer == customer(1, book[1])


@pytest.mark.parametrize(
    ("scope", "owner", "branch", "visible"),
    [
        (policy_pb2.SCOPE_OWN_BOOK, RM, BRANCH, set(range(1, 31, 2))),
        (policy_pb2.SCOPE_OWN_BOOK, 0, BRANCH, set()),
        (policy_pb2.SCOPE_OWN_BOOK, ASSISTANT, BRANCH, {SHARED}),
        (policy_pb2.SCOPE_BRANCH, ASSISTANT, BRANCH, set(range(1, 21))),
        (policy_pb2.SCOPE_BRANCH, RM, BRANCH, set(range(1, 21))),
        (policy_pb2.SCOPE_BRANCH, RM, 0, set()),
        (policy_pb2.SCOPE_ALL, RM, OTHER_BRANCH, set(range(21, 31))),
        (policy_pb2.SCOPE_SELF, RM, BRANCH, set()),
        (policy_pb2.SCOPE_UNSPECIFIED, RM, BRANCH, set()),
    ],
    ids=[
        "book",
        "no staff number",
        "assistant",
        "assistant's branch",
        "branch",
        "no branch",
        "wider than method",
        "self",
        "none",
    ],
)
async def test_list_and_rows_show_the_same_reach(
    mesh: Mesh,
    book: dict[int, int],
    *,
    scope: policy_pb2.Scope.ValueType,
    owner: int,
    branch: int,
    visible: set[int],
) -> None:
    """What a caller may list is exactly what he may read one by one."""
    stub = caller(mesh, scope, staff_id=owner, branch_id=branch)
    tokens = {book[number] for number in visible}
    assert {one.customer_id for one in await listed(stub)} == tokens
    for token in book.values():
        if token in tokens:
            assert (await stub.GetCustomer(get(token))).customer.customer_id == token
        else:
            assert (await refusal(stub.GetCustomer(get(token)))).reason == "OUT_OF_SCOPE"


async def test_assistant_works_with_the_customer(mesh: Mesh, book: dict[int, int]) -> None:
    """Who has a share of a customer writes follow-ups as the owner does."""
    stub = caller(mesh, staff_id=ASSISTANT)
    made = (await stub.CreateFollowUp(new(book[SHARED], "spoke"))).follow_up
    assert made.author == f"user{ASSISTANT}"


async def test_foreign_customer_looks_like_none(rm: Stub, book: dict[int, int]) -> None:
    """A customer of others and one that does not exist are answered alike, by every method."""
    unknown = max(book.values()) + 1
    for token in (book[2], unknown):
        calls = [
            rm.GetCustomer(get(token)),
            rm.GetPortrait(customer_pb2.GetPortraitRequest(customer_id=token)),
            rm.CreateFollowUp(new(token, "spoke")),
            rm.GetFollowUp(customer_pb2.GetFollowUpRequest(customer_id=token, follow_up_id=1)),
            rm.ListFollowUps(customer_pb2.ListFollowUpsRequest(customer_id=token)),
            rm.UpdateFollowUp(
                customer_pb2.UpdateFollowUpRequest(
                    customer_id=token, follow_up=customer_pb2.FollowUp(summary="x")
                )
            ),
        ]
        for call in calls:
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "OUT_OF_SCOPE")


async def test_branch_manager_reads_but_does_not_write_in_books_of_others(
    mesh: Mesh, book: dict[int, int]
) -> None:
    """Follow-ups are written by the owner alone, and read by his branch."""
    manager = caller(mesh, policy_pb2.SCOPE_BRANCH, staff_id=99)
    request = customer_pb2.ListFollowUpsRequest(customer_id=book[1])
    assert (await manager.ListFollowUps(request)).next_page_token == ""
    refused = await refusal(manager.CreateFollowUp(new(book[1], "spoke")))
    assert refused.reason == "OUT_OF_SCOPE"


async def test_list_is_filtered_and_ordered(rm: Stub, book: dict[int, int]) -> None:
    """Filter and order hold over all pages."""
    found = await listed(
        rm,
        page_size=2,
        filter="tier >= TIER_AUM20 AND has_wecom = true",
        order_by="tier desc",
    )
    wanted = [
        one
        for number, token in book.items()
        if number % 2
        and (one := customer(number, token)).tier >= customer_pb2.TIER_AUM20
        and one.has_wecom
    ]
    assert found == sorted(wanted, key=lambda one: (one.tier, one.customer_id), reverse=True)
    assert len(found) > 2


async def test_page_token_holds_for_its_own_list(rm: Stub, book: dict[int, int]) -> None:
    """A token is refused with another filter or order, and when it is damaged."""
    page = await rm.ListCustomers(customer_pb2.ListCustomersRequest(page_size=2))
    token = page.next_page_token
    wrong = [
        customer_pb2.ListCustomersRequest(page_token=token, filter="has_wecom = true"),
        customer_pb2.ListCustomersRequest(page_token=token, order_by="tier"),
        customer_pb2.ListCustomersRequest(page_token=token[:-1]),
        customer_pb2.ListCustomersRequest(page_token="nonsense"),
    ]
    for request in wrong:
        refused = await refusal(rm.ListCustomers(request))
        assert refused.reason == "PAGE_TOKEN_INVALID"
        assert refused.violations[0].field == "page_token"


async def test_filter_that_cannot_be_read_says_where(rm: Stub) -> None:
    """The caller learns the position and what may stand there."""
    request = customer_pb2.ListCustomersRequest(filter="tier >= TIER_AUM20 AND colour = 1")
    refused = await refusal(rm.ListCustomers(request))
    assert refused.reason == "FILTER_INVALID"
    assert refused.metadata["position"] == "24"
    assert "has_wecom" in refused.violations[0].description


async def test_portrait_has_masks_and_newest_follow_ups(rm: Stub, book: dict[int, int]) -> None:
    """The portrait joins the row, the Ark's masked values and five follow-ups."""
    made = [
        (await rm.CreateFollowUp(new(book[5], f"call {number}"))).follow_up.follow_up_id
        for number in range(7)
    ]
    request = customer_pb2.GetPortraitRequest(customer_id=book[5])
    portrait = (await rm.GetPortrait(request)).portrait
    assert portrait.customer == customer(5, book[5])
    assert (portrait.name, portrait.phone) == ("王**", "138****0005")
    assert (portrait.id_card, portrait.aum_band) == ("330***********0005", "500k-1M")
    assert portrait.as_of.seconds > 0
    assert [one.follow_up_id for one in portrait.recent_follow_ups] == made[:1:-1]


async def test_portrait_needs_the_right_to_ask_the_ark(mesh: Mesh, book: dict[int, int]) -> None:
    """A user who may not ask the Ark is told which right is missing."""
    stub = caller(mesh, permissions={"customer.read"})
    refused = await refusal(stub.GetPortrait(customer_pb2.GetPortraitRequest(customer_id=book[1])))
    assert refused.code is grpc.StatusCode.PERMISSION_DENIED
    assert refused.metadata == {"permission": "ark.query"}


async def test_follow_up_is_written_and_read(rm: Stub, book: dict[int, int]) -> None:
    """A follow-up has its author and times, and is found by id and in the list."""
    request = new(book[7], "谈到三年期存款")
    request.follow_up.next_time.FromDatetime(datetime(2026, 12, 24, tzinfo=UTC))
    request.follow_up.author = "somebody else"
    made = (await rm.CreateFollowUp(request)).follow_up
    assert made.author == f"user{RM}"
    assert made.create_time == made.update_time
    assert made.next_time == request.follow_up.next_time
    one = await rm.GetFollowUp(
        customer_pb2.GetFollowUpRequest(customer_id=book[7], follow_up_id=made.follow_up_id)
    )
    assert one.follow_up == made
    several = await rm.ListFollowUps(customer_pb2.ListFollowUpsRequest(customer_id=book[7]))
    assert list(several.follow_ups) == [made]


async def test_follow_up_of_another_customer_is_not_found(rm: Stub, book: dict[int, int]) -> None:
    """An id is good only together with its customer."""
    made = (await rm.CreateFollowUp(new(book[9], "spoke"))).follow_up
    refused = await refusal(
        rm.GetFollowUp(
            customer_pb2.GetFollowUpRequest(customer_id=book[11], follow_up_id=made.follow_up_id)
        )
    )
    assert refused.reason == "FOLLOW_UP_NOT_FOUND"


async def test_same_request_id_has_one_effect_and_one_answer(
    mesh: Mesh, rm: Stub, book: dict[int, int]
) -> None:
    """A repeated call gets the first answer and adds no row; another body is refused."""
    first = await rm.CreateFollowUp(new(book[13], "spoke", "key-1"))
    again = await rm.CreateFollowUp(new(book[13], "spoke", "key-1"))
    assert again == first
    several = await rm.ListFollowUps(customer_pb2.ListFollowUpsRequest(customer_id=book[13]))
    assert len(several.follow_ups) == 1
    refused = await refusal(rm.CreateFollowUp(new(book[13], "spoke again", "key-1")))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS


async def test_repeated_update_answers_as_the_first_time(rm: Stub, book: dict[int, int]) -> None:
    """An update that is sent again with its request id succeeds again, old etag and all."""
    made = (await rm.CreateFollowUp(new(book[15], "spoke"))).follow_up
    request = customer_pb2.UpdateFollowUpRequest(
        customer_id=book[15],
        follow_up=customer_pb2.FollowUp(
            follow_up_id=made.follow_up_id, summary="spoke twice", etag=made.etag
        ),
        request_id="key-2",
    )
    first = await rm.UpdateFollowUp(request)
    assert await rm.UpdateFollowUp(request) == first
    request.request_id = "key-3"
    assert (await refusal(rm.UpdateFollowUp(request))).reason == "ETAG_MISMATCH"


async def test_update_that_finds_nothing_leaves_its_request_id_free(
    rm: Stub, book: dict[int, int]
) -> None:
    """A refused update is no effect: its request id may be used again."""
    made = (await rm.CreateFollowUp(new(book[17], "spoke"))).follow_up
    missing = customer_pb2.FollowUp(follow_up_id=made.follow_up_id + 10**9, summary="new")
    request = customer_pb2.UpdateFollowUpRequest(
        customer_id=book[17], follow_up=missing, request_id="key-4"
    )
    assert (await refusal(rm.UpdateFollowUp(request))).reason == "FOLLOW_UP_NOT_FOUND"
    request.follow_up.follow_up_id = made.follow_up_id
    assert (await rm.UpdateFollowUp(request)).follow_up.summary == "new"


async def test_update_clears_a_time_that_the_mask_names(rm: Stub, book: dict[int, int]) -> None:
    """A field in the mask without a value is cleared; the others stay."""
    request = new(book[19], "spoke")
    request.follow_up.next_time.FromDatetime(datetime(2026, 12, 24, tzinfo=UTC))
    made = (await rm.CreateFollowUp(request)).follow_up
    changed = await rm.UpdateFollowUp(
        customer_pb2.UpdateFollowUpRequest(
            customer_id=book[19],
            follow_up=customer_pb2.FollowUp(follow_up_id=made.follow_up_id),
            update_mask=FieldMask(paths=["next_time"]),
        )
    )
    assert not changed.follow_up.HasField("next_time")
    assert changed.follow_up.summary == "spoke"
    assert changed.follow_up.etag != made.etag


async def test_update_of_a_field_that_stays_is_refused(rm: Stub, book: dict[int, int]) -> None:
    """A mask may name nothing but what can be changed."""
    made = (await rm.CreateFollowUp(new(book[21], "spoke"))).follow_up
    refused = await refusal(
        rm.UpdateFollowUp(
            customer_pb2.UpdateFollowUpRequest(
                customer_id=book[21],
                follow_up=made,
                update_mask=FieldMask(paths=["summary", "author"]),
            )
        )
    )
    assert refused.reason == "UPDATE_INVALID"
    assert "author" in refused.violations[0].description


async def test_personal_number_in_a_text_is_refused(rm: Stub, book: dict[int, int]) -> None:
    """The refusal names the field and does not repeat the number."""
    refused = await refusal(rm.CreateFollowUp(new(book[1], "打138-0013-8000找他")))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "PERSONAL_DATA_IN_TEXT"
    assert [violation.field for violation in refused.violations] == ["follow_up.summary"]
    assert "8000" not in str(refused)


async def test_import_needs_a_trusted_service(mesh: Mesh, book: dict[int, int]) -> None:
    """No user imports customers, whatever his rights."""
    stub = caller(mesh, policy_pb2.SCOPE_ALL, permissions={"customer.import"})
    request = customer_pb2.ImportCustomersRequest(customers=[customer(1, book[1])])
    assert (await refusal(stub.ImportCustomers(request))).reason == "PERMISSION_DENIED"


@pytest.mark.parametrize("number", [1, SHARED])
async def test_services_read_owners_of_many(mesh: Mesh, book: dict[int, int], number: int) -> None:
    """Owner, branch and shares come in the order asked; unknown customers are left out."""
    stub = ownership_pb2_grpc.OwnershipServiceStub(mesh.channel("customer", caller="loader"))
    asked = [max(book.values()) + 1, book[number], book[2]]
    answer = await stub.GetOwners(ownership_pb2.GetOwnersRequest(customer_ids=asked))
    first, second = answer.owners
    row = customer(number, book[number])
    assert first == ownership_pb2.Ownership(
        customer_id=book[number],
        owner_kind=row.owner_kind,
        owner_id=row.owner_id,
        branch_id=row.branch_id,
        shares=row.shares,
    )
    assert second.customer_id == book[2]


async def test_services_read_many_customers(mesh: Mesh, book: dict[int, int]) -> None:
    """Grade, expiry, tier and seniority of many in one call, in the order asked, each once."""
    asked = [book[5], max(book.values()) + 1, book[3], book[5]]
    answer = await loader(mesh).BatchGetCustomers(
        customer_pb2.BatchGetCustomersRequest(customer_ids=asked)
    )
    assert list(answer.customers) == [customer(5, book[5]), customer(3, book[3])]


async def test_users_read_neither_owners_nor_many_customers(
    mesh: Mesh, book: dict[int, int]
) -> None:
    """Both are for services, whatever rights a user might hold."""
    rights = {"ownership.read", "customer.batch_read"}
    token = mesh.token("user7", permissions=rights, data_scope=policy_pb2.SCOPE_ALL)
    channel = mesh.channel("customer", token=token)
    calls = [
        ownership_pb2_grpc.OwnershipServiceStub(channel).GetOwners(
            ownership_pb2.GetOwnersRequest(customer_ids=[book[1]])
        ),
        customer_pb2_grpc.CustomerServiceStub(channel).BatchGetCustomers(
            customer_pb2.BatchGetCustomersRequest(customer_ids=[book[1]])
        ),
    ]
    for call in calls:
        assert (await refusal(call)).reason == "PERMISSION_DENIED"


async def test_shares_that_do_not_sum_are_refused(mesh: Mesh, book: dict[int, int]) -> None:
    """The import is refused as a whole and says which customer's shares are wrong."""
    wrong = customer(2, book[2])
    wrong.shares[0].share_bp = 9_999
    request = customer_pb2.ImportCustomersRequest(customers=[customer(1, book[1]), wrong])
    refused = await refusal(loader(mesh).ImportCustomers(request))
    assert refused.reason == "IMPORT_INVALID"
    assert [violation.field for violation in refused.violations] == ["customers[1].shares"]


async def test_statistics_count_what_is_held(mesh: Mesh, book: dict[int, int], rm: Stub) -> None:
    """Statistics grow with a follow-up."""
    before = await loader(mesh).GetStatistics(customer_pb2.GetStatisticsRequest())
    await rm.CreateFollowUp(new(book[1], "spoke"))
    after = await loader(mesh).GetStatistics(customer_pb2.GetStatisticsRequest())
    assert after.customers == before.customers == CUSTOMERS
    assert after.follow_ups == before.follow_ups + 1


async def test_portrait_without_ark_says_so(var: Path) -> None:
    """Without the Ark a portrait is unavailable and says why; the row itself is still there."""
    async with Mesh(var) as mesh:
        trust(mesh)
        await mesh.start(SEQUENCER)
        await mesh.start(BLUEPRINT)
        await loader(mesh).ImportCustomers(
            customer_pb2.ImportCustomersRequest(customers=[customer(1, 4711)])
        )
        stub = caller(mesh)
        refused = await refusal(stub.GetPortrait(customer_pb2.GetPortraitRequest(customer_id=4711)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "ARK_UNAVAILABLE")
        assert refused.retry_after_s == 1.0
        assert (await stub.GetCustomer(get(4711))).customer.customer_id == 4711


async def test_follow_up_without_sequencer_says_so(var: Path) -> None:
    """Without ids no follow-up is written; the caller hears it before his deadline."""
    async with Mesh(var) as mesh:
        trust(mesh)
        await mesh.start(BLUEPRINT)
        await loader(mesh).ImportCustomers(
            customer_pb2.ImportCustomersRequest(customers=[customer(1, 4711)])
        )
        refused = await refusal(caller(mesh).CreateFollowUp(new(4711, "spoke")))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "IDS_UNAVAILABLE")
