"""Personal data rests in the Ark and nowhere else: a search for canaries proves it.

Customers with unique names and numbers go through the real services. Then every
file that the mesh has written is searched for them: databases with their logs,
the registry, keys, traces, and all that was logged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import observability
from centers.ark.app import BLUEPRINT as ARK
from centers.customer.app import BLUEPRINT as CUSTOMER
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import policy_pb2
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from observability.ums.app import BLUEPRINT as UMS
from sequencer.app import BLUEPRINT as SEQUENCER

CANARIES = [
    ark_pb2.CustomerRecord(
        cif=f"77{number:014}",
        name=f"金丝雀{chr(0x4E00 + number)}{number:03}",
        phone=f"199{40_000_000 + number}",
        id_card=f"99010119880808{number:03}X",
        aum_fen=888_888_800,
    )
    for number in range(40)
]
PERSONAL = [
    value
    for record in CANARIES
    for value in (record.cif, record.name, record.phone, record.id_card)
]


@pytest.fixture
def logged(var: Path) -> Iterator[None]:
    """Everything that is logged at any level, as it was logged, in a file of the mesh's folder."""
    handler = logging.FileHandler(var / "everything.log", encoding="utf-8")
    handler.setFormatter(_Everything())
    root, ours = logging.getLogger(), logging.getLogger("engine")
    levels = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    yield
    root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    handler.close()


class _Everything(logging.Formatter):
    """Writes all that a record carries, its traceback and extra values included."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {vars(record)}"


def found(files: list[Path]) -> set[tuple[str, str]]:
    """The canaries' values that stand in the files, each with the name of its file."""
    needles = [(value, form) for value in PERSONAL for form in _forms(value)]
    return {
        (path.name, value)
        for path in files
        for content in [path.read_bytes()]
        for value, form in needles
        if form in content
    }


def _forms(value: str) -> set[bytes]:
    """The ways in which text is commonly written to a file."""
    escaped = json.dumps(value)[1:-1]
    return {value.encode(), value.encode("utf-16-le"), escaped.encode()}


def files_of(var: Path) -> tuple[list[Path], list[Path]]:
    """The Ark's own database files, and all others."""
    files = [path for path in var.rglob("*") if path.is_file()]
    arks = {path for path in files if path.parent.name == "data" and path.name.startswith("ark.db")}
    return sorted(arks), sorted(set(files) - arks)


@asynccontextmanager
async def services(var: Path) -> AsyncIterator[Mesh]:
    """The Ark and what surrounds it, each request traced into a UMS of its own."""
    async with Mesh(var, trace_sample=1.0) as mesh, AsyncExitStack() as telemetry:
        mesh.trust("loader", {"ark.import", "customer.import"})
        for blueprint in (UMS, SEQUENCER, ARK, CUSTOMER):
            mesh.trust(blueprint.name, blueprint.rights)
        await mesh.start(UMS)
        for blueprint in (SEQUENCER, ARK, CUSTOMER):
            key = ServiceKey.load(mesh.settings.key_dir, blueprint.name)
            observed = observability.install(mesh.settings, blueprint.name, mesh.registry, key)
            await mesh.start(blueprint, telemetry=await telemetry.enter_async_context(observed))
        yield mesh


async def imported(mesh: Mesh) -> list[int]:
    """Import the canaries; answer their tokens."""
    ark = ark_pb2_grpc.ArkServiceStub(mesh.channel("ark", caller="loader"))
    answer = await ark.ImportCustomers(ark_pb2.ImportCustomersRequest(records=CANARIES))
    tokens = [token.customer_id for token in answer.tokens]
    rows = [
        customer_pb2.Customer(
            customer_id=token, tier=customer_pb2.TIER_AUM300, owner_id=7, branch_id=3
        )
        for token in tokens
    ]
    loader = customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))
    await loader.ImportCustomers(customer_pb2.ImportCustomersRequest(customers=rows))
    return tokens


async def used(mesh: Mesh, tokens: list[int]) -> None:
    """Read each canary's portrait and follow it up, as a relationship manager does."""
    stub = manager(mesh)
    for token in tokens:
        request = customer_pb2.GetPortraitRequest(customer_id=token)
        portrait = (await stub.GetPortrait(request)).portrait
        assert portrait.name == "金**"
        assert not [value for value in PERSONAL if value.encode() in portrait.SerializeToString()]
        await stub.CreateFollowUp(follow_up(token, "约定下周面谈"))


async def misused(mesh: Mesh, token: int, record: ark_pb2.CustomerRecord) -> None:
    """Put personal data where it does not belong; each attempt is refused without repeating it."""
    stub = manager(mesh)
    await refused(stub.CreateFollowUp(follow_up(token, f"致电{record.phone}")))
    await refused(stub.CreateFollowUp(follow_up(token, f"证件 {record.id_card}")))
    by_name = customer_pb2.ListCustomersRequest(filter=f"owner_id = {record.name}")
    await refused(stub.ListCustomers(by_name))
    ark = ark_pb2_grpc.ArkServiceStub(mesh.channel("ark", caller="loader"))
    await refused(ark.ImportCustomers(ark_pb2.ImportCustomersRequest(records=[record, record])))
    broken = ark_pb2.CustomerRecord()
    broken.CopyFrom(record)
    broken.phone = f"+86{record.phone}"
    await refused(ark.ImportCustomers(ark_pb2.ImportCustomersRequest(records=[broken])))


def manager(mesh: Mesh) -> customer_pb2_grpc.CustomerServiceAsyncStub:
    token = mesh.token(
        "rm007",
        permissions={"customer.read", "customer.follow_up", "ark.query"},
        data_scope=policy_pb2.SCOPE_OWN_BOOK,
        staff_id=7,
    )
    return customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", token=token))


def follow_up(token: int, summary: str) -> customer_pb2.CreateFollowUpRequest:
    return customer_pb2.CreateFollowUpRequest(
        customer_id=token,
        follow_up=customer_pb2.FollowUp(summary=summary),
        request_id=f"{token}-{len(summary)}",
    )


async def refused(call: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    said = f"{failed.value!r} {failed.value.trailing_metadata()}"
    assert not [value for value in PERSONAL if value in said]


@pytest.mark.embedded  # it searches files
async def test_personal_data_rests_in_the_ark_alone(logged: None, var: Path) -> None:
    """No file but the Ark's own holds a name or number of a customer, in use or after it."""
    async with services(var) as mesh:
        tokens = await imported(mesh)
        await used(mesh, tokens)
        for token, record in zip(tokens, CANARIES, strict=True):
            await misused(mesh, token, record)
        arks, others = files_of(var)
        assert found(others) == set()
        assert {value for _, value in found(arks)} == set(PERSONAL)
    arks, others = files_of(var)
    assert found(others) == set()
    assert {value for _, value in found(arks)} == set(PERSONAL)
    searched = {path.name for path in others if path.stat().st_size}
    assert searched >= {"customer.db", "sequencer.db", "ums.db", "everything.log"}
    assert b"ArkService/Query" in (var / "data" / "ums.db").read_bytes()


def test_search_finds_what_does_not_belong(var: Path) -> None:
    """The search is able to fail: a canary that gets out is found in any form."""
    values = [CANARIES[0].name, CANARIES[1].phone, CANARIES[2].cif]
    (var / "leak.bin").write_bytes(b"\x00".join(f for value in values for f in _forms(value)))
    _, others = files_of(var)
    assert found(others) == {("leak.bin", value) for value in values}
