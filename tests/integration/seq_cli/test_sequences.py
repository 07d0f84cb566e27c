"""Sequences on the command line: made, taken from, audited, and brought to their end."""

from __future__ import annotations

from typing import Any

import pytest

from cli.names import OPERATOR
from engine.sequencer.v1 import sequencer_pb2
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh.testing import Mesh
from tests.integration.seq_cli.told import Engine, refusal, rows


async def test_a_sequence_is_created_and_listed(engine: Engine) -> None:
    """In a pipe the table is tab-separated, with a head line; names may be narrowed down."""
    made = await engine("create", "shop.order", "--start", "1000", "--js")
    await engine("create", "shop.customer", "--kind", "strict")
    await engine("create", "other.one")

    listed = await engine("list", "shop.")

    assert listed.stdout.splitlines()[0] == "Name\tKind\tState\tNext id\tLeft\tDays left"
    assert rows(made) == rows(await engine("list", "shop.order"))
    assert rows(listed) == [
        ["shop.customer", "strict", "active", "1", str(2**63 - 1), "-"],
        ["shop.order", "segment", "active", "1000", str(2**53 - 1 - 999), "-"],
    ]


async def test_every_setting_of_a_sequence_can_be_made_and_seen(engine: Engine) -> None:
    """Range, increment, cycle, callers, retention."""
    made = await engine(
        *("create", "shop.down", "--start", "-5", "--min", "-10", "--max", "5"),
        *("--increment", "-2", "--cycle", "--retention", "7"),
        *("--caller", "mesh:action=1_000", "--caller", f"mesh:{OPERATOR}"),
    )
    assert made.exit_code == 0, made.output

    shown = dict(rows(await engine("inspect", "shop.down")))

    wanted = {
        "kind": "segment",
        "start": "-5",
        "lowest id": "-10",
        "highest id": "5",
        "increment": "-2",
        "begins again": "yes",
        "days kept": "7",
        "callers": f"mesh:action, mesh:{OPERATOR}",
        "next id": "-5",
    }
    assert {name: shown[name] for name in wanted} == wanted
    assert (await engine("next", "shop.down", "-n", "5")).stdout.split() == [
        *("-5", "-7", "-9", "5", "3")
    ]


async def test_all_ids_that_there_are_fit_into_one_sequence(engine: Engine) -> None:
    """There are twice as many as positions: half of them are reached."""
    made = await engine("create", "shop.all", "--min", str(-(2**63)))

    assert rows(made)[0][3:5] == [str(-(2**63)), str(2**63 - 1)]
    assert (await engine("next", "shop.all")).stdout == f"{-(2**63)}\n"


async def test_a_serial_and_a_layout_are_shown_as_they_were_made(engine: Engine) -> None:
    """A template with its zone and reset; the bits of a snowflake, 53 of them with --js."""
    template = "LN{date:%Y%m%d}{number:06}{check:luhn}"
    await engine(
        *("create", "loan.contract", "--serial", template),
        *("--zone", "Asia/Shanghai", "--reset", "day"),
    )
    await engine("create", "trace.span", "--kind", "snowflake", "--js", "--epoch", "2026-06-01")

    serial = dict(rows(await engine("inspect", "loan.contract")))
    snowflake = dict(rows(await engine("inspect", "trace.span")))

    assert serial["serial"] == template
    assert (serial["zone"], serial["begins anew"]) == ("Asia/Shanghai", "each day")
    assert snowflake["layout"] == "41:5:7:1"
    assert snowflake["epoch"] == "2026-06-01 00:00:00Z"
    assert {snowflake[name] for name in ("next id", "ids left", "highest id", "increment")} == {"-"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--zone", "Asia/Shanghai"], "belong to --serial"),
        (["--layout", "41:10:12"], "belong to --kind snowflake"),
        (["--kind", "snowflake", "--layout", "41:10"], "is no layout"),
        (["--kind", "snowflake", "--layout", "41:10:12", "--js"], "53 at most"),
        (["--js", "--max", str(2**53)], "more than --js allows"),
        (["--caller", "mesh:action=many"], "is no caller"),
        (["--kind", "snowflake", "--epoch", "today"], "is no date"),
    ],
)
async def test_settings_that_do_not_fit_are_refused_before_a_call(
    engine: Engine, arguments: list[str], said: str
) -> None:
    """With what to write instead, and the exit code of a wrong command line."""
    assert said in refusal(await engine("create", "shop.order", *arguments), 2)
    assert rows(await engine("list")) == []


async def test_a_template_that_cannot_work_is_explained(engine: Engine) -> None:
    """By the sequencer, with the field; no sequence comes of it."""
    said = refusal(await engine("create", "loan.contract", "--serial", "LN{numbr}"))
    assert "numbr" in said
    assert rows(await engine("list")) == []


async def test_next_prints_ids_for_scripts(engine: Engine) -> None:
    """One id a line and nothing else; the same id is never printed again."""
    await engine("create", "shop.order")

    assert (await engine("next", "shop.order")).stdout == "1\n"
    assert (await engine("next", "shop.order", "-n", "3")).stdout == "2\n3\n4\n"
    assert (await engine("next", "shop.order", "-n", "3", "--ranges")).stdout == "5\t7\t1\n"


async def test_strict_ids_are_taken_in_the_same_way(engine: Engine) -> None:
    """The kind decides on the promise, not on the command."""
    await engine("create", "shop.order", "--kind", "strict")

    assert (await engine("next", "shop.order", "-n", "2")).stdout == "1\n2\n"


async def test_many_ids_come_as_a_stream(engine: Engine) -> None:
    """All of them, each once, in order."""
    await engine("create", "shop.order")

    taken = await engine("next", "shop.order", "-n", "25000")

    assert taken.stdout.split() == [str(number) for number in range(1, 25_001)]


@pytest.mark.parametrize(("kind", "command"), [("gapless", "reserve"), ("snowflake", "workers")])
async def test_next_names_the_command_for_other_kinds(
    engine: Engine, kind: str, command: str
) -> None:
    """A gapless number must be confirmed, and programs make snowflakes."""
    await engine("create", "shop.order", "--kind", kind)

    assert f"engine seq {command} shop.order" in refusal(await engine("next", "shop.order"))


async def test_next_creates_what_is_missing_when_asked(engine: Engine) -> None:
    """Only then, and a sequence with settings of its own is taken from as it is."""
    assert (await engine("next", "shop.order")).exit_code == 1
    assert (await engine("next", "shop.order", "--create")).stdout == "1\n"
    await engine("create", "shop.invoice", "--start", "1000")
    assert (await engine("next", "shop.invoice", "--create")).stdout == "1000\n"


async def test_next_goes_on_when_a_grant_is_smaller(engine: Engine) -> None:
    """A sequence that grants a thousand at most still gives fifteen hundred."""
    await engine("create", "shop.order", "--max", "5000")

    taken = await engine("next", "shop.order", "-n", "1500")

    assert taken.stdout.split() == [str(number) for number in range(1, 1_501)]


async def test_peek_takes_nothing(engine: Engine) -> None:
    """The next id is shown as often as asked, and refused when there is none."""
    await engine("create", "short.one", "--max", "2")
    assert (await engine("peek", "short.one")).stdout == "1\n"
    assert (await engine("peek", "short.one")).stdout == "1\n"
    await engine("next", "short.one", "-n", "2")

    assert "has no ids left" in refusal(await engine("peek", "short.one"))


async def test_the_audit_says_who_got_which_range(engine: Engine) -> None:
    """The log, newest first, its beginning included; or the history of one id."""
    await engine("create", "shop.order")
    await engine("next", "shop.order", "-n", "10")
    await engine("next", "shop.order", "-n", "5")

    log = rows(await engine("audit", "shop.order"))
    one = rows(await engine("audit", "shop.order", "--id", "11"))

    assert [line[:5] for line in log] == [
        ["3", "granted", "11", "15", "5"],
        ["2", "granted", "1", "10", "10"],
        ["1", "created", "-", "-", "-"],
    ]
    assert log[0][5].startswith(f"mesh:{OPERATOR}/cli-")
    assert one == log[:1] == rows(await engine("inspect", "shop.order", "11"))
    assert rows(await engine("audit", "shop.order", "-n", "1")) == log[:1]


async def test_an_id_that_nobody_got_is_refused(engine: Engine) -> None:
    """With how far the sequence is; a negative id is one like any other."""
    await engine("create", "shop.order")

    for number in ("16", "-5"):
        said = refusal(await engine("inspect", "shop.order", number))
        assert f"nothing about {number}" in said
        assert "engine seq peek shop.order" in said


async def test_other_settings_of_a_sequence_that_is_there_are_pointed_at(engine: Engine) -> None:
    """Callers and retention may have changed since; nobody is to believe that they are his."""
    await engine("create", "shop.order", "--retention", "7")

    same = await engine("create", "shop.order", "--retention", "7")
    callers = await engine("create", "shop.order", "--caller", "mesh:action")
    retention = await engine("create", "shop.order", "--retention", "8")

    assert same.exit_code == 0
    assert "engine seq callers shop.order" in refusal(callers)
    assert "keeps entries for 7 days" in refusal(retention)


async def test_the_audit_is_narrowed_by_caller_and_time(engine: Engine) -> None:
    """Nothing before yesterday, nothing of others; ids are not mixed with filters."""
    await engine("create", "shop.order")
    await engine("next", "shop.order")
    me = ("--caller", f"mesh:{OPERATOR}")

    assert len(rows(await engine("audit", "shop.order", *me, "--since", "1d"))) == 2
    assert rows(await engine("audit", "shop.order", "--caller", "mesh:other")) == []
    assert rows(await engine("audit", "shop.order", "--until", "2020-01-01")) == []
    assert "is no time" in refusal(await engine("audit", "shop.order", "--since", "soon"), 2)
    assert "no other filter" in refusal(await engine("audit", "x.y", "--id", "1", *me), 2)


async def test_usage_is_summed_up_per_caller(engine: Engine) -> None:
    """Ranges, ids granted, ids returned, ids used."""
    await engine("create", "shop.order")
    await engine("next", "shop.order", "-n", "10")
    await engine("next", "shop.order", "-n", "5")

    usage = await engine("audit", "shop.order", "--usage", "--since", "1h")

    assert rows(usage) == [[f"mesh:{OPERATOR}", "2", "15", "0", "15"]]


async def test_the_fence_is_moved_by_hand_and_seen(engine: Engine) -> None:
    """It asks, it jumps behind the number, and the audit shows by whose word."""
    await engine("create", "shop.order")
    await engine("next", "shop.order", "-n", "10")

    assert "Say --yes" in refusal(await engine("fence", "shop.order", "--at-least", "500"), 2)
    moved = await engine("fence", "shop.order", "--at-least", "500", "--yes")
    again = await engine("fence", "shop.order", "--at-least", "500", "--yes")

    assert moved.stdout == "'shop.order' goes on with 501; epoch 1.\n"
    assert "nothing was changed" in again.stdout
    (jump,) = rows(await engine("audit", "shop.order", "--fences"))
    assert jump[1:5] == ["1", "490", "11", "operator: at least 500"]
    assert (await engine("next", "shop.order")).stdout == "501\n"


async def test_a_fence_tells_what_it_came_to(engine: Engine) -> None:
    """Also where no id is jumped over, and where none is left."""
    await engine("create", "shop.order", "--max", "500")
    await engine("next", "shop.order", "-n", "10")

    behind = await engine("fence", "shop.order", "--at-least", "5", "--yes")
    end = await engine("fence", "shop.order", "--at-least", "500", "--yes")

    assert behind.stdout == (
        "'shop.order' was behind 5 already, and goes on with 11;"
        " what clients hold or have returned is given up; epoch 1.\n"
    )
    assert end.stdout == "'shop.order' has no ids left to grant; epoch 2.\n"
    assert "no ids left" in refusal(await engine("peek", "shop.order"))


async def test_a_drained_sequence_grants_nothing_until_it_is_opened(engine: Engine) -> None:
    """Draining shows what is still held; undone, ids go on."""
    await engine("create", "shop.order")
    await engine("next", "shop.order", "-n", "10")

    drained = await engine("drain", "shop.order")
    assert "\tdraining\t" in drained.stdout
    assert drained.stdout.splitlines()[-1].split("\t")[2:6] == ["2", "1", "10", "10"]
    assert "engine seq drain shop.order --undo" in refusal(await engine("next", "shop.order"))

    await engine("drain", "shop.order", "--undo")
    assert (await engine("next", "shop.order")).stdout == "11\n"


async def test_ids_that_a_killed_program_may_have_lost_are_shown(
    engine: Engine, mesh: Mesh
) -> None:
    """In the audit, also of such an id; draining does not wait for that program."""
    await engine("create", "shop.order")
    stub: Any = SequencerServiceStub(mesh.channel("sequencer", caller=OPERATOR))
    mine: Any = {"name": "shop.order", "client_id": "till"}
    lease = (await stub.LeaseRange(sequencer_pb2.LeaseRangeRequest(**mine, size=100))).lease
    told: Any = {"lease_number": lease.lease_number, "mark": lease.witness.mark}
    await stub.ReturnRange(sequencer_pb2.ReturnRangeRequest(**mine, **told, used=60, lost=20))

    log = rows(await engine("audit", "shop.order"))
    drained = await engine("drain", "shop.order")

    assert [line[:5] for line in log[:3]] == [
        ["4", "lost", "41", "60", "20"],
        ["3", "returned", "61", "100", "40"],
        ["2", "granted", "1", "100", "100"],
    ]
    assert rows(await engine("audit", "shop.order", "--id", "50")) == [log[0], log[2]]
    assert "till" not in drained.stdout


async def test_draining_a_serial_shows_what_is_held_of_its_periods(engine: Engine) -> None:
    """Each period drains with it, and has a log of its own."""
    template = "LN{date:%Y%m%d}{number:04}"
    await engine("create", "loan.contract", "--reset", "day", "--serial", template)
    await engine("serial", "loan.contract", "--date", "2026-11-26")

    drained = await engine("drain", "loan.contract")

    assert drained.stdout.splitlines()[-1].startswith("loan.contract@20261126\tmesh:")
    assert "DRAINING" in refusal(await engine("next", "loan.contract@20261126"))


async def test_draining_shows_a_range_that_is_out_beside_one_that_came_back(
    engine: Engine, mesh: Mesh
) -> None:
    """Whatever the client did last; a range from before one that came back is used up."""
    await engine("create", "shop.order")
    stub: Any = SequencerServiceStub(mesh.channel("sequencer", caller=OPERATOR))

    async def lease() -> Any:
        request = sequencer_pb2.LeaseRangeRequest(name="shop.order", client_id="till", size=10)
        return (await stub.LeaseRange(request)).lease

    async def give_back(one: Any) -> None:
        told: Any = {"lease_number": one.lease_number, "mark": one.witness.mark, "used": 5}
        mine: Any = {"name": "shop.order", "client_id": "till"}
        await stub.ReturnRange(sequencer_pb2.ReturnRangeRequest(**mine, **told))

    first, second = await lease(), await lease()
    await give_back(first)
    drained = await engine("drain", "shop.order")
    await give_back(second)

    assert drained.stdout.splitlines()[-1].split("\t")[2:6] == ["3", "11", "20", "10"]
    assert "till" not in (await engine("drain", "shop.order")).stdout


async def test_periods_of_a_renamed_serial_are_still_its_own(engine: Engine) -> None:
    """They keep their old names; the list and draining find them under the new one."""
    template = "LN{date:%Y%m%d}{number:04}"
    await engine("create", "loan.contract", "--reset", "day", "--serial", template)
    await engine("serial", "loan.contract", "--date", "2026-11-26")
    await engine("rename", "loan.contract", "credit.contract")

    listed = rows(await engine("list", "credit.contract", "--periods"))
    drained = await engine("drain", "credit.contract")

    assert {line[0] for line in listed} == {"credit.contract", "loan.contract@20261126"}
    assert drained.stdout.splitlines()[-1].startswith("loan.contract@20261126\tmesh:")


async def test_only_a_drained_sequence_is_retired_and_for_good(engine: Engine) -> None:
    """Each refusal says what comes first."""
    await engine("create", "shop.order")

    assert "nobody is there to answer" in refusal(await engine("retire", "shop.order"), 2)
    assert "Drain it before" in refusal(await engine("retire", "shop.order", "--yes"))
    await engine("drain", "shop.order")
    assert rows(await engine("retire", "shop.order", "--yes"))[0][2] == "retired"
    assert (await engine("drain", "shop.order", "--undo")).exit_code == 1


async def test_a_renamed_sequence_goes_on_under_both_names(engine: Engine) -> None:
    """The old name leads to it, and no other sequence may take it."""
    await engine("create", "shop.order")
    await engine("next", "shop.order")

    assert rows(await engine("rename", "shop.order", "shop.purchase"))[0][0] == "shop.purchase"

    assert (await engine("next", "shop.order")).stdout == "2\n"
    assert (await engine("next", "shop.purchase")).stdout == "3\n"
    assert (await engine("create", "shop.order")).exit_code == 1


async def test_callers_are_added_with_quotas_and_removed(engine: Engine) -> None:
    """Once one is named the others are refused; the last is not removed by accident."""
    await engine("create", "shop.order")
    await engine("next", "shop.order", "-n", "3")
    me = f"mesh:{OPERATOR}"

    added = await engine("callers", "shop.order", "--add", f"{me}=5", "--add", "mesh:action")
    assert rows(added) == [[me, "5", "3"], ["mesh:action", "any", "0"]]
    assert "ids of the day" in refusal(await engine("next", "shop.order", "-n", "3"))

    assert rows(await engine("callers", "shop.order", "--remove", me)) == [
        ["mesh:action", "any", "0"]
    ]
    assert "for other callers" in refusal(await engine("next", "shop.order"))
    assert "not among" in refusal(await engine("callers", "shop.order", "--remove", me))

    last = ("callers", "shop.order", "--remove", "mesh:action")
    assert "Say --yes" in refusal(await engine(*last))
    assert rows(await engine(*last, "--yes")) == [[me, "any", "3"]]
    assert (await engine("next", "shop.order")).exit_code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("peek",),
        ("next",),
        ("inspect",),
        ("audit",),
        ("audit", "--usage"),
        ("drain",),
        ("callers",),
    ],
)
async def test_an_unknown_sequence_says_what_to_do(
    engine: Engine, command: tuple[str, ...]
) -> None:
    """The service's own message and next step, no traceback."""
    said = refusal(await engine(command[0], "no.such", *command[1:]))

    assert "There is no sequence 'no.such'" in said
    assert "engine seq create" in said


async def test_a_bad_name_is_explained(engine: Engine) -> None:
    """The broken rule is shown with its field."""
    assert "sequence.name" in refusal(await engine("create", "Shop Order"))
