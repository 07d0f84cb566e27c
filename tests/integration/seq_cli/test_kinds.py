"""What the command line does for serials, numbers without gaps, and snowflakes alone."""

from __future__ import annotations

from typing import Any

from cli.names import OPERATOR
from engine.sequencer.v1 import sequencer_pb2, snowflake_pb2
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from engine.sequencer.v1.snowflake_pb2_grpc import WorkerServiceStub
from mesh.testing import Mesh
from tests.integration.seq_cli.told import Engine, refusal, rows


async def test_serials_of_two_business_dates_are_taken_side_by_side(engine: Engine) -> None:
    """Each date has numbers of its own, whatever day it is."""
    await engine(
        *("create", "loan.contract", "--reset", "day"),
        *("--serial", "LN{date:%Y%m%d}{number:04}{check:luhn}"),
    )

    async def taken(day: str) -> list[str]:
        return (await engine("serial", "loan.contract", "-n", "2", "--date", day)).stdout.split()

    assert await taken("2026-11-26") == ["LN2026112600011", "LN2026112600029"]
    assert await taken("2026-11-27") == ["LN2026112700019", "LN2026112700027"]
    assert (await taken("2026-11-26"))[0].startswith("LN202611260003")


async def test_a_serial_leads_to_who_got_it(engine: Engine) -> None:
    """Number, date, the period that it is from, and the client."""
    template = "LN{date:%Y%m%d}{number:04}{check:luhn}"
    await engine("create", "loan.contract", "--reset", "day", "--serial", template)
    arguments = ("serial", "loan.contract", "--date", "2026-11-26")
    text = (await engine(*arguments)).stdout.strip()

    said = dict(rows(await engine("read", "loan.contract", text)))

    assert (said["number"], said["business date"]) == ("1", "2026-11-26")
    assert said["sequence"] == "loan.contract@20261126"
    assert said["given to"].startswith(f"mesh:{OPERATOR}/serials at ")


async def test_reading_a_serial_that_may_be_lost_tells_who_got_it(
    engine: Engine, mesh: Mesh
) -> None:
    """The entry that tells of the loss is newer than the grant, and hides it not."""
    await engine("create", "loan.contract", "--serial", "LN{number:04}")
    stub: Any = SequencerServiceStub(mesh.channel("sequencer", caller=OPERATOR))
    mine: Any = {"name": "loan.contract", "client_id": "till"}
    lease = (await stub.LeaseRange(sequencer_pb2.LeaseRangeRequest(**mine, size=10))).lease
    told: Any = {"lease_number": lease.lease_number, "mark": lease.witness.mark}
    await stub.ReturnRange(sequencer_pb2.ReturnRangeRequest(**mine, **told, used=10, lost=10))

    said = dict(rows(await engine("read", "loan.contract", "LN0005")))

    assert said["given to"].startswith(f"mesh:{OPERATOR}/till at ")
    assert said["given to"].endswith("perhaps never used")


async def test_looking_at_a_period_does_not_make_it(engine: Engine) -> None:
    """A serial that nobody took is valid, and was given to nobody; no sequence comes of it."""
    template = "LN{date:%Y%m%d}{number:04}"
    await engine("create", "loan.contract", "--reset", "day", "--serial", template)

    said = dict(rows(await engine("read", "loan.contract", "LN209912310001")))

    assert said["given to"].startswith("nobody")
    assert (await engine("audit", "loan.contract@20991231", "--usage")).exit_code == 1
    assert (await engine("workers", "loan.contract@20991231")).exit_code == 1
    assert [row[0] for row in rows(await engine("list", "--periods"))] == ["loan.contract"]


async def test_a_mistyped_serial_is_pointed_at(engine: Engine) -> None:
    """Two digits changed places: the check digit tells."""
    template = "LN{number:08}{check:luhn}"
    await engine("create", "loan.contract", "--serial", template)

    said = refusal(await engine("read", "loan.contract", "LN000000128"))

    assert "LN000000128\n  " in said
    assert "^" in said
    assert "no serial of 'loan.contract'" in said


async def test_a_sequence_without_a_template_has_no_serials(engine: Engine) -> None:
    """And reading one changes nothing."""
    await engine("create", "shop.order")
    assert "no format for serials" in refusal(await engine("serial", "shop.order"))


async def test_numbers_are_reserved_confirmed_and_released(engine: Engine) -> None:
    """What is released is the next one; what is confirmed is in no report."""
    await engine("create", "shop.invoice", "--kind", "gapless")
    held = rows(await engine("reserve", "shop.invoice", "-n", "3"))
    claim = held[0][1:3]

    assert [line[0] for line in held] == ["1", "2", "3"]
    assert (await engine("confirm", "shop.invoice", *claim, "1", "3")).stdout == "1\n3\n"
    assert (await engine("release", "shop.invoice", *claim, "2")).stdout == "2\n"

    (gap,) = rows(await engine("gaps", "shop.invoice"))
    assert gap[:4] == ["2", "2", "1", "released"]
    assert (await engine("peek", "shop.invoice")).stdout == "2\n"
    counts = dict(rows(await engine("gaps", "shop.invoice", "--counts")))
    assert (counts["confirmed"], counts["released"]) == ("2", "1")


async def test_a_void_number_is_never_given_again_and_says_why(engine: Engine) -> None:
    """It asks before; the list has the reason for auditors."""
    await engine("create", "shop.invoice", "--kind", "gapless")
    await engine("reserve", "shop.invoice")
    arguments = ("void", "shop.invoice", "1", "--reason", "form spoiled")

    assert "Say --yes" in refusal(await engine(*arguments), 2)
    done = rows(await engine(*arguments, "--yes"))

    assert done == rows(await engine("voids", "shop.invoice"))
    assert done[0][:4] == ["1", "1", "1", "void"]
    assert done[0][7:] == [f"mesh:{OPERATOR}", "form spoiled"]
    assert (await engine("peek", "shop.invoice")).stdout == "2\n"


async def test_a_gapless_number_is_inspected(engine: Engine) -> None:
    """Reserved by whom, or confirmed; what was never given out is refused."""
    await engine("create", "shop.invoice", "--kind", "gapless")
    held = rows(await engine("reserve", "shop.invoice", "-n", "2"))
    await engine("confirm", "shop.invoice", *held[0][1:3], "1")

    (confirmed,) = rows(await engine("inspect", "shop.invoice", "1"))
    (reserved,) = rows(await engine("inspect", "shop.invoice", "2"))

    assert confirmed[3] == "confirmed"
    assert reserved[3] == "reserved"
    assert reserved[6] == held[0][1]
    assert reserved[7].startswith(f"mesh:{OPERATOR}/cli-")
    assert "has not given out 3" in refusal(await engine("inspect", "shop.invoice", "3"))


async def test_the_audit_says_who_used_a_number(engine: Engine) -> None:
    """One that was confirmed, too: who, when, by which reservation; and the sequence's changes."""
    await engine("create", "shop.invoice", "--kind", "gapless")
    held = rows(await engine("reserve", "shop.invoice", "-n", "2"))
    await engine("confirm", "shop.invoice", *held[0][1:3], "1")

    settings = dict(rows(await engine("inspect", "shop.invoice")))
    (inspected,) = rows(await engine("inspect", "shop.invoice", "1"))
    (one,) = rows(await engine("audit", "shop.invoice", "--id", "1"))
    log = rows(await engine("audit", "shop.invoice"))

    assert [settings[name] for name in ("next id", "entries", "ids returned")] == ["3", "2", "-"]
    assert settings["ids left"] == str(2**63 - 3)
    assert inspected[6:8] == [held[0][1], one[5]]
    assert inspected[4] == one[7] != "-"
    assert one[:5] == ["-", "confirmed", "1", "1", "1"]
    assert one[5].startswith(f"mesh:{OPERATOR}/cli-")
    assert one[6] == held[0][1]
    assert [line[1] for line in log] == ["reserved", "confirmed", "created"]
    assert log[1] == one
    assert rows(await engine("audit", "shop.invoice", "-n", "1")) == log[:1]
    assert rows(await engine("audit", "shop.invoice", "--caller", "mesh:other")) == []
    assert rows(await engine("audit", "shop.invoice", "--until", "2020-01-01")) == []
    said = refusal(await engine("audit", "shop.invoice", "--id", "3"))
    assert "has not given out 3" in said
    assert "gaps shop.invoice" in refusal(await engine("audit", "shop.invoice", "--usage"), 2)


async def test_what_was_taken_of_numbers_is_not_guessed(engine: Engine) -> None:
    """They are in no log of ranges: 0 would be a lie."""
    await engine("create", "shop.invoice", "--kind", "gapless")
    me = f"mesh:{OPERATOR}"
    await engine("callers", "shop.invoice", "--add", f"{me}=5")
    await engine("reserve", "shop.invoice", "-n", "3")

    assert rows(await engine("callers", "shop.invoice")) == [[me, "5", "-"]]
    assert "ids of the day" in refusal(await engine("reserve", "shop.invoice", "-n", "3"))


async def test_draining_shows_reserved_numbers(engine: Engine) -> None:
    """They may still be confirmed."""
    await engine("create", "shop.invoice", "--kind", "gapless")
    held = rows(await engine("reserve", "shop.invoice"))

    drained = await engine("drain", "shop.invoice")

    assert drained.stdout.splitlines()[-1].split("\t")[:4] == ["1", "1", "1", "reserved"]
    assert (await engine("confirm", "shop.invoice", *held[0][1:3])).exit_code == 0


async def test_a_snowflake_leads_to_its_time_and_worker(engine: Engine) -> None:
    """By its bits alone: nobody held the worker then, so the sequence did not give the id."""
    await engine("create", "trace.span", "--kind", "snowflake", "--epoch", "2026-06-01")
    id_ = 86_400_000 << 22 | 5 << 12 | 7

    said = dict(rows(await engine("inspect", "trace.span", str(id_))))

    assert said["Time"] == "2026-06-02 00:00:00.000Z"
    assert (said["Worker"], said["Number"]) == ("5", "7")
    assert said["Holder"].startswith("nobody")
    assert "made from the time" in refusal(await engine("peek", "trace.span"))


async def test_workers_are_listed_with_who_holds_them(engine: Engine, mesh: Mesh) -> None:
    """And still shown when the sequence drains, since their windows go on."""
    await engine("create", "trace.span", "--kind", "snowflake")
    request = snowflake_pb2.AcquireWorkerRequest(name="trace.span", client_id="a")
    request.window.FromSeconds(60)
    stub: Any = WorkerServiceStub(mesh.channel("sequencer", caller=OPERATOR))
    await stub.AcquireWorker(request)

    (held,) = rows(await engine("workers", "trace.span"))
    drained = await engine("drain", "trace.span")

    assert held[:2] == ["0", f"mesh:{OPERATOR}/a"]
    assert held[4] == "held"
    assert drained.stdout.splitlines()[-1].split("\t") == held
