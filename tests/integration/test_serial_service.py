"""Serials over real sockets and the real chain: by the service, and by its client."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest

from engine.sequencer.v1 import sequencer_pb2, serial_pb2
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from engine.sequencer.v1.serial_pb2_grpc import SerialServiceStub
from gateway.app import BLUEPRINT as GATEWAY
from mesh import ErrorView
from mesh.clock import ManualClock
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from sequencer.app import BLUEPRINT
from sequencer.sdk import Sequencer, mesh_source
from sequencer.sdk.serial import SerialKeyError

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub
    from engine.sequencer.v1.serial_pb2_grpc import SerialServiceAsyncStub

RIGHTS = {"sequencer.read", "sequencer.create", "sequencer.lease", "sequencer.operate"}
NAME = "loan.contract"
TEMPLATE = "LN{date:%Y%m%d}{number:08}{check:luhn}"
DAY = sequencer_pb2.SERIAL_RESET_DAY


@pytest.fixture
async def serials(mesh: Mesh) -> SerialServiceAsyncStub:
    """The service in the evening of the 25th by UTC, which is the 26th in Shanghai."""
    mesh.trust("shop", RIGHTS)
    mesh.trust("gateway", GATEWAY.rights | RIGHTS)
    clock = ManualClock(datetime(2026, 11, 25, 16, 30, tzinfo=UTC))
    await mesh.start(BLUEPRINT, clock=clock)
    return SerialServiceStub(mesh.channel("sequencer", token=token(mesh)))


@pytest.fixture
def sequences(mesh: Mesh, serials: SerialServiceAsyncStub) -> SequencerServiceAsyncStub:
    return SequencerServiceStub(mesh.channel("sequencer", token=token(mesh)))


def token(mesh: Mesh) -> str:
    return mesh.token("ops", permissions=RIGHTS)


async def create(
    sequences: SequencerServiceAsyncStub, template: str = TEMPLATE, **serial: Any
) -> None:
    made = sequencer_pb2.SerialFormat(template=template, **serial)
    wanted = sequencer_pb2.Sequence(name=NAME, serial=made)
    await sequences.CreateSequence(sequencer_pb2.CreateSequenceRequest(sequence=wanted))


async def taken(serials: SerialServiceAsyncStub, **request: Any) -> serial_pb2.NextSerialsResponse:
    return await serials.NextSerials(serial_pb2.NextSerialsRequest(name=NAME, **request))


async def read(serials: SerialServiceAsyncStub, serial: str) -> serial_pb2.ReadSerialResponse:
    return await serials.ReadSerial(serial_pb2.ReadSerialRequest(name=NAME, serial=serial))


async def failure(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return ErrorView.from_rpc(caught.value)


async def test_serials_of_two_days_count_by_themselves(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """Today's in the named zone, and yesterday's whose books are still open."""
    await create(sequences, zone="Asia/Shanghai", reset=DAY)

    first = await taken(serials)
    yesterday = await taken(serials, business_date="2026-11-25", count=2)
    second = await taken(serials)

    assert first.business_date == "2026-11-26"
    assert [*first.serials, *second.serials] == ["LN20261126000000011", "LN20261126000000029"]
    assert [*yesterday.serials] == ["LN20261125000000013", "LN20261125000000021"]


async def test_a_day_goes_on_under_another_name(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """Renamed in the middle of a day: clients of either name count on together."""
    await create(sequences, reset=DAY)
    day, texts = "2026-11-26", [*(await taken(serials, business_date="2026-11-26")).serials]
    renaming = sequencer_pb2.RenameSequenceRequest(name=NAME, new_name="loan.agreement")
    await sequences.RenameSequence(renaming)

    for name in ("loan.agreement", NAME, "loan.agreement"):
        asked = serial_pb2.NextSerialsRequest(name=name, business_date=day)
        texts += (await serials.NextSerials(asked)).serials
    for name in ("loan.agreement@20261126", f"{NAME}@20261126"):
        lease = sequencer_pb2.LeaseRangeRequest(name=name, client_id="desk", size=1)
        texts.append(str((await sequences.LeaseRange(lease)).lease.first))

    assert [text[-9:-1] for text in texts[:4]] == [f"{number:08}" for number in range(1, 5)]
    assert texts[4:] == ["5", "6"]


async def test_a_serial_is_read_and_leads_to_who_took_it(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """Number, date and the sequence whose log has the rest."""
    await create(sequences, reset=DAY)
    (text,) = (await taken(serials, business_date="2026-11-26")).serials

    said = await read(serials, text)

    assert (said.valid, said.number, said.business_date) == (True, 1, "2026-11-26")
    assert said.sequence == f"{NAME}@20261126"
    asked = sequencer_pb2.ListLeasesRequest(name=said.sequence, id=said.number)
    (lease,) = (await sequences.ListLeases(asked)).leases
    assert lease.client_id == "ops/serials"


async def test_a_mistyped_serial_is_told_where(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """It is an answer and no error: whoever typed it is told."""
    await create(sequences)

    said = await read(serials, "LN2O261126000000011")

    assert (said.valid, said.problem, said.position) == (False, "'O' is no digit in radix 10", 3)
    assert not said.HasField("number")
    assert not (await read(serials, "LN20261126000000012")).valid


async def test_a_thousand_serials_come_at_once_and_no_more(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """All different, over the ends of ranges."""
    await create(sequences, "{number:06}{check:mod97-10}")

    found = [text for _ in range(2) for text in (await taken(serials, count=1_000)).serials]

    assert len({*found}) == 2_000
    assert (await failure(taken(serials, count=1_001))).reason == "INVALID_ARGUMENT"


@pytest.mark.parametrize("template", ["LN{date:%Y}{number:08}", "{number}{number}", "{number:08"])
async def test_a_template_that_cannot_work_makes_no_sequence(
    sequences: SequencerServiceAsyncStub, template: str
) -> None:
    """Its serials would repeat each day, or cannot be read: said when it is made."""
    refused = await failure(create(sequences, template, reset=DAY))

    assert refused.reason == "INVALID_ARGUMENT"
    assert [violation.field for violation in refused.violations] == ["sequence.serial"]


@pytest.mark.parametrize("day", ["2026-02-30", "20261126", "tomorrow"])
async def test_a_date_that_is_none_is_refused(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub, day: str
) -> None:
    """Before a number is taken."""
    await create(sequences, reset=DAY)

    assert (await failure(taken(serials, business_date=day))).reason == "INVALID_ARGUMENT"


async def test_without_date_and_zone_no_serial_is_written(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """The server's own zone is nobody's business date."""
    await create(sequences, reset=DAY)

    refused = await failure(taken(serials))

    assert refused.reason == "INVALID_ARGUMENT"
    assert "names no time zone" in refused.message


async def test_a_sequence_without_a_format_has_no_serials(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """And one that does not exist neither."""
    assert (await failure(taken(serials))).reason == "SEQUENCE_NOT_FOUND"
    wanted = sequencer_pb2.Sequence(name=NAME)
    await sequences.CreateSequence(sequencer_pb2.CreateSequenceRequest(sequence=wanted))

    assert (await failure(taken(serials))).reason == "SERIAL_FORMAT_MISSING"
    assert (await failure(read(serials, "1"))).reason == "SERIAL_FORMAT_MISSING"


async def test_wider_numbers_than_the_template_has_room_for_are_refused(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """Never truncated."""
    await create(sequences, "{number:02}")
    assert len((await taken(serials, count=99)).serials) == 99

    assert (await failure(taken(serials))).reason == "SEQUENCE_EXHAUSTED"


async def test_near_the_end_those_that_are_left_come(
    serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """The last ones are not lost because more were asked for."""
    await create(sequences, "{number:02}")
    await taken(serials, count=90)

    assert [*(await taken(serials, count=10)).serials] == [str(number) for number in range(91, 100)]
    assert (await failure(taken(serials, count=10))).reason == "SEQUENCE_EXHAUSTED"


async def test_hidden_numbers_stay_with_the_key(
    mesh: Mesh, serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """The service writes none and tells none; a client with the key does both."""
    await create(sequences, "{hidden:08}{check:luhn}")
    async with client(mesh) as sequencer:
        text = await sequencer.serial(NAME, key=bytes(range(32))).next_async()
        with pytest.raises(SerialKeyError):
            await sequencer.serial(NAME).next_async()
    assert (await failure(taken(serials))).reason == "SERIAL_HIDDEN"
    said = await read(serials, text)
    assert said.valid
    assert not said.HasField("number")


async def test_the_client_takes_the_format_from_the_service(
    mesh: Mesh, serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """Both write alike and count together, a client from the ranges that it holds."""
    await create(sequences, zone="Asia/Shanghai", reset=DAY)
    (one,) = (await taken(serials, business_date="2026-11-26")).serials
    async with client(mesh) as sequencer:
        contracts = sequencer.serial(NAME)
        others = await contracts.take_async(3, date(2026, 11, 26))
        earlier = await contracts.next_async(date(2026, 11, 25))

        assert [contracts.read(text).number for text in (one, *others)] == [1, 2, 3, 4]
        assert contracts.read(earlier).period == "20261125"


async def test_serials_are_had_by_rest(
    mesh: Mesh, serials: SerialServiceAsyncStub, sequences: SequencerServiceAsyncStub
) -> None:
    """The name with its dots in the path, the serial with whatever it has in the query."""
    await create(sequences, "LN/{date:%Y-%m-%d} {number:04}+{check:luhn}", reset=DAY)
    gateway = await mesh.start(GATEWAY)
    headers = {"authorization": f"Bearer {token(mesh)}"}
    async with httpx.AsyncClient(base_url=f"http://{gateway.entry.http}", headers=headers) as http:
        asked = {"businessDate": "2026-11-26", "count": 2}
        taken = (await http.post(f"/v1/serials/{NAME}:next", json=asked)).json()
        said = await http.get(f"/v1/serials/{NAME}:read", params={"serial": taken["serials"][1]})

    assert taken["serials"] == ["LN/2026-11-26 0001+1", "LN/2026-11-26 0002+9"]
    assert said.json() == {
        "valid": True,
        "number": "2",
        "businessDate": "2026-11-26",
        "sequence": f"{NAME}@20261126",
    }


def client(mesh: Mesh) -> Sequencer:
    """A client in another service."""
    key = ServiceKey.load(mesh.settings.key_dir, "shop")
    return Sequencer(mesh_source(mesh.registry, key), timeout_s=10)
