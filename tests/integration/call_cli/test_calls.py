"""`engine call` against a service of the mesh."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from pathlib import Path

import pytest

from engine.mesh.v1 import policy_pb2
from mesh.testing import Mesh
from tests.integration.call_cli.conftest import Engine, Toy
from tests.integration.conftest import ENGINE


def user(mesh: Mesh) -> str:
    return mesh.token(
        "rm001",
        permissions={"customer.read", "customer.follow_up"},
        data_scope=policy_pb2.SCOPE_ALL,
        staff_id=7,
    )


async def test_a_method_is_called_as_a_user(engine: Engine, mesh: Mesh, toy: Toy) -> None:
    """By his token; purpose and metadata go along, and the answer is JSON on one line."""
    result = await engine(
        *("customer/GetCustomer", '{"customer_id": 7}', "--token", user(mesh)),
        *("--purpose", "service", "--metadata", "x-engine-business-date=2026-11-26"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == '{"customer":{"customerId":"7"}}\n'
    ((seen, request),) = toy.seen
    assert (seen.user, seen.service, seen.purpose) == ("rm001", "", "service")
    assert (seen.business_date, request.customer_id) == ("2026-11-26", 7)


async def test_a_token_may_lie_in_a_file(engine: Engine, mesh: Mesh, tmp_path: Path) -> None:
    """There the list of processes does not show it."""
    (tmp_path / "token").write_text(f"{user(mesh)}\n")
    named = ("--token", f"@{tmp_path / 'token'}")
    assert (await engine("GetCustomer", '{"customerId": 7}', *named)).exit_code == 0
    missing = await engine("GetCustomer", "{}", "--token", f"@{tmp_path / 'none'}")
    assert missing.exit_code == 2
    assert "the token cannot be read" in missing.stderr


async def test_a_local_identity_calls_by_its_key(engine: Engine, toy: Toy) -> None:
    """The operator when none is named; one that has no key is told with those that have."""
    refused = await engine("customer/GetStatistics")
    assert refused.exit_code == 64 + 7
    assert "permission = customer.import" in refused.stderr
    assert (await engine("customer/GetStatistics", "--caller", "loader")).exit_code == 0
    assert toy.seen[-1][0].service == "loader"
    unknown = await engine("customer/GetStatistics", "--caller", "lodaer")
    assert unknown.exit_code == 2
    assert "Did you mean 'loader'?" in unknown.stderr


async def test_a_service_may_call_on_behalf_of_a_user(engine: Engine, mesh: Mesh, toy: Toy) -> None:
    """Both proofs go along."""
    both = ("--token", user(mesh), "--caller", "loader")
    result = await engine("GetCustomer", '{"customerId": 7}', *both)
    assert result.exit_code == 0, result.output
    seen, _ = toy.seen[-1]
    assert (seen.user, seen.service) == ("rm001", "loader")


async def test_two_users_are_one_too_many(engine: Engine) -> None:
    """And outside the demo none is signed on by name."""
    both = await engine("GetCustomer", "--as", "rm001", "--token", "x")
    assert both.exit_code == 2
    named = await engine("GetCustomer", "--as", "rm001")
    assert named.exit_code == 1
    assert "in the demo only" in named.stderr


async def test_a_service_lists_its_methods(engine: Engine) -> None:
    """Signature, permission and streams; without a name all that runs is listed."""
    result = await engine("customer")
    assert result.exit_code == 0, result.output
    head, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert head == ["Method", "Signature", "Permission", "Streams"]
    assert [
        "customer/GetCustomer",
        "(customerId: int64) → GetCustomerResponse",
        "customer.read",
        "",
    ] in rows
    watch = next(row for row in rows if row[0] == "customer/WatchRevocations")
    assert watch[2:] == ["trust.watch (services)", "answers"]
    assert (await engine()).stdout == result.stdout


async def test_a_request_is_described_as_json(engine: Engine) -> None:
    """The template alone on standard output, so that it can be filled in."""
    result = await engine("CreateFollowUp", "--describe")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["customerId"] == "int64, > 0"
    assert "permission customer.follow_up" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("GetCustmer",), 2, "Did you mean customer/GetCustomer"),
        (("custmer/GetCustomer",), 2, "customer/GetCustomer"),
        (("customer", "{}"), 2, "'customer' is a service"),
        (("GetCustomer", '{"id": 7}'), 2, "has no field 'id'"),
        (("GetCustomer", '{"customer_idd": 7}'), 2, "did you mean 'customer_id'?"),
        (("GetCustomer", "{"), 2, "this is no JSON"),
        (("GetCustomer", "--request-id", "x"), 2, "takes no request_id"),
        (("GetCustomer", "--metadata", "x"), 2, "'x' is no metadata"),
    ],
)
async def test_what_is_written_wrong_is_told_with_what_was_meant(
    engine: Engine, toy: Toy, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """Before anything is called."""
    result = await engine(*arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert not toy.seen


async def test_a_refusal_is_told_in_full(engine: Engine, mesh: Mesh) -> None:
    """Status and reason, the rule that was broken, the next step; the code says which status."""
    broken = await engine("GetCustomer", '{"customerId": -7}', "--token", user(mesh))
    assert broken.exit_code == 64 + 3
    assert broken.stdout == ""
    first, second = broken.stderr.splitlines()
    assert first == "engine: INVALID_ARGUMENT: customer_id: must be greater than 0"
    assert second.startswith("  → Correct the fields")
    missing = await engine("GetCustomer", '{"customerId": 700}', "--token", user(mesh))
    assert missing.exit_code == 64 + 5
    assert "NOT_FOUND OUT_OF_SCOPE" in missing.stderr


async def test_what_takes_effect_gets_a_request_id(engine: Engine, mesh: Mesh, toy: Toy) -> None:
    """Made when there is none, and told, so that the call can be repeated."""
    given = ("CreateFollowUp", '{"customerId": 7, "followUp": {"summary": "x"}}')
    made = await engine(*given, "--token", user(mesh))
    assert made.exit_code == 0, made.output
    assert made.stderr == f"request_id: {toy.seen[-1][1].request_id}\n"
    named = await engine(*given, "--token", user(mesh), "--request-id", "mine")
    assert (named.stderr, toy.seen[-1][1].request_id) == ("", "mine")


async def test_a_call_is_told_in_detail_when_one_asks(engine: Engine, mesh: Mesh) -> None:
    """Where to, as whom, what was sent, how it ended; no token anywhere, and the answer apart."""
    token = user(mesh)
    result = await engine("GetCustomer", '{"customerId": 7}', "--token", token, "-v")
    assert result.stdout == '{"customer":{"customerId":"7"}}\n'
    told = result.stderr.splitlines()
    assert told[0].startswith("* to customer at unix:")
    assert told[0].endswith("as the user of the token")
    assert "> engine.customer.v1.CustomerService/GetCustomer" in told
    assert '> {"customerId":"7"}' in told
    assert any(line.startswith("* OK, 1 answer in ") for line in told)
    trace = next(line for line in told if line.startswith("> traceparent: "))
    assert f"engine trace {trace.split('-')[1]}" in told[-1]
    assert token not in result.stderr


async def test_a_stream_is_printed_as_it_comes(mesh: Mesh, toy: Toy) -> None:
    """A line for each answer, though more may follow; Ctrl-C ends it without noise."""
    process = await asyncio.create_subprocess_exec(
        *(str(ENGINE), "call", "WatchRevocations"),
        env={"ENGINE_VAR": str(mesh.settings.var)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        lines = [json.loads(await process.stdout.readline()) for _ in range(2)]
        assert [line["revocations"][0]["sessionId"] for line in lines] == ["a", "b"]
        await toy.watched.wait()
    finally:
        process.send_signal(signal.SIGINT)
        _, noise = await process.communicate()
    assert (process.returncode, noise) == (0, b"")
    await toy.left.wait()


async def test_ctrl_c_ends_a_call_that_waits_for_its_answer(mesh: Mesh, toy: Toy) -> None:
    """With the code that shells know; it is not known whether the call ran."""
    process = await asyncio.create_subprocess_exec(
        *(str(ENGINE), "call", "customer/GetKeySet"),
        env={"ENGINE_VAR": str(mesh.settings.var)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    await toy.watched.wait()
    process.send_signal(signal.SIGINT)
    assert await process.communicate() == (b"", b"")
    assert process.returncode == 130


async def test_a_stream_may_be_cut_by_time(engine: Engine) -> None:
    """Then the answers so far are there, and the code says that it was cut."""
    result = await engine("WatchRevocations", "--timeout", "0.5")
    assert result.exit_code == 64 + 4
    assert len(result.stdout.splitlines()) == 2
    assert "DEADLINE_EXCEEDED" in result.stderr


async def test_without_a_platform_the_next_step_is_told(engine: Engine, var: Path) -> None:
    """How to start one, or to call elsewhere."""
    result = await engine("customer", ENGINE_VAR=str(var / "nothing"))
    assert result.exit_code == 1
    assert "make run" in result.stderr
    assert "--address" in result.stderr
