"""`engine call --address` against a server that is not ours: all kinds of calls."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from cli.calling.reflection import fetch
from cli.main import app
from mesh.blocking import blocking_channel
from mesh.contract import ContractError
from tests.integration.call_cli import echo
from tests.integration.call_cli.echo import Echo
from tests.integration.conftest import ENGINE

Engine = Callable[..., Result]
Server = tuple[str, Echo]


@pytest.fixture
def server() -> Iterator[Server]:
    """The server's address and its side."""
    with echo.serve() as served:
        yield served


@pytest.fixture
def engine(server: Server, var: Path) -> Engine:
    """Runs `engine call --address …` where no platform is."""

    def run(*arguments: str) -> Result:
        command = ("call", "--address", server[0], *arguments)
        return CliRunner().invoke(app, command, env={"ENGINE_VAR": str(var)})

    return run


def lines(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def piped(server: Server, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With the text on standard input."""
    command = [str(ENGINE), "call", "--address", server[0], *arguments]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False
    )


def test_what_it_serves_is_listed(engine: Engine) -> None:
    """By its own names; of permissions nothing is known."""
    rows = [line.split("\t") for line in engine().stdout.splitlines()][1:]
    word = "(text: string, number: int64, packed: Any)"
    assert rows[:4] == [
        ["EchoService/Say", f"{word} → Word", "", ""],
        ["EchoService/Count", f"{word} → stream Word", "", "answers"],
        ["EchoService/Sum", f"stream {word} → Word", "", "requests"],
        ["EchoService/Chat", f"stream {word} → stream Word", "", "requests and answers"],
    ]


def test_a_single_request_has_a_single_answer(engine: Engine, server: Server) -> None:
    """No proof of anybody is sent along: it may be anybody's server."""
    assert lines(engine("Say", '{"text": "你好", "number": 7}')) == [
        {"text": "你好", "number": "7"}
    ]
    (metadata,) = server[1].metadata
    assert not {key for key in metadata if key.startswith(("x-engine", "authorization"))}


def test_a_token_that_is_given_is_sent(engine: Engine, server: Server) -> None:
    """On streams of requests too; metadata as text and bytes."""
    given = ("--token", "abc", "-m", "x-text=a=b", "-m", "x-raw-bin=eHk=")
    for method in ("Say", "Count", "Sum", "Chat"):
        engine(method, '{"number": 1}', *given)
    sent = [
        tuple(pairs[key] for key in ("authorization", "x-text", "x-raw-bin"))
        for pairs in server[1].metadata
    ]
    assert sent == [("Bearer abc", "a=b", b"xy")] * 4


def test_a_server_stream_is_a_line_for_each_answer(engine: Engine) -> None:
    """In their order; the first has only defaults."""
    assert lines(engine("Count", '{"number": 3}')) == [{}, {"number": "1"}, {"number": "2"}]
    shown = lines(engine("Count", '{"number": 1}', "--defaults"))
    assert shown == [{"text": "", "number": "0"}]


def test_a_client_stream_is_a_line_for_each_request(
    engine: Engine, server: Server, tmp_path: Path
) -> None:
    """From the argument, a file or standard input; none is none."""
    text = '{"number": 1}\n\n{"number": 2}\n'
    (tmp_path / "requests").write_text(text)
    assert lines(engine("Sum", text)) == [{"number": "3"}]
    assert lines(engine("Sum", f"@{tmp_path / 'requests'}")) == [{"number": "3"}]
    assert lines(engine("Sum")) == [{}]
    assert json.loads(piped(server, text, "Sum", "-").stdout) == {"number": "3"}


def test_a_wrong_line_cancels_the_call(engine: Engine, server: Server) -> None:
    """A part must not be taken for the whole; the line is told by its number."""
    result = engine("Sum", '{"number": 1}\n{"numbr": 2}')
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "line 2: Word has no field 'numbr': did you mean 'number'?" in result.stderr
    assert lines(engine("Sum", '{"number": 3}')) == [{"number": "3"}]
    assert server[1].sums == [3]


def test_requests_and_answers_may_alternate(server: Server) -> None:
    """An answer is printed though the next request is not there yet."""
    command = [str(ENGINE), "call", "--address", server[0], "Chat", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("a", "b"):
            process.stdin.write(f'{{"text": "{text}"}}\n')
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == {"text": text}
        process.stdin.close()
    assert process.returncode == 0


def test_a_call_that_ends_before_its_input_ends_the_program(server: Server) -> None:
    """Whoever waits for more input is not waited for."""
    command = [str(ENGINE), "call", "--address", server[0], "Sum", "-", "--timeout", "0.5"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "DEADLINE_EXCEEDED" in process.stderr.read()
        assert process.wait(30) == 64 + 4


def test_one_request_may_span_the_lines_of_standard_input(server: Server) -> None:
    """It is one JSON text."""
    result = piped(server, '{\n "text":\n "x"}', "Say", "-")
    assert (result.returncode, json.loads(result.stdout)) == (0, {"text": "x"})


def test_metadata_of_both_ends_is_told_when_one_asks(engine: Engine) -> None:
    """What the server sent before and after its answer, and by which way it came."""
    result = engine("Say", "{}", "-v")
    told = result.stderr.splitlines()
    assert told[0].endswith("as nobody")
    assert "< x-server: echo" in told
    assert "< x-cost: 1" in told
    assert any("by plain gRPC to 127.0.0.1:" in line for line in told)


def test_a_failure_is_told_with_its_status(engine: Engine) -> None:
    """Though it has no details."""
    result = engine("Fail")
    assert result.exit_code == 64 + 15
    assert result.stderr == "engine: DATA_LOSS: all gone\n"


def test_a_stream_that_the_server_cancels_is_told(engine: Engine) -> None:
    """Not as if we had cancelled it."""
    result = engine("Sum", '{"number": -1}')
    assert result.exit_code == 64 + 1
    assert result.stderr == "engine: CANCELLED: below 0\n"


def test_an_answer_of_unknown_type_is_told(engine: Engine) -> None:
    """Reflection gave no contract for what is packed in it."""
    result = engine("Wrap")
    assert result.exit_code == 1
    assert "the answer cannot be shown" in result.stderr
    assert "nowhere.Thing" in result.stderr


def test_a_server_that_is_not_there_is_told(var: Path) -> None:
    """With the status of a call that fails so."""
    command = ("call", "--address", f"unix:{var}/none.sock")
    result = CliRunner().invoke(app, command, env={"ENGINE_VAR": str(var)})
    assert result.exit_code == 64 + 14
    assert "→" in result.stderr


def test_reflection_v1_is_asked_where_there_is_no_other() -> None:
    """The messages are the same."""
    with echo.serve(version="v1") as (address, _), blocking_channel(address) as channel:
        assert fetch(channel).services == (echo.SERVICE,)


def test_a_server_without_reflection_is_told() -> None:
    """UNIMPLEMENTED, as the server says."""
    with echo.serve(version="v0") as (address, _), blocking_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as failed:
            fetch(channel)
        assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("version", ["partial", "broken", "silent"])
def test_reflection_that_makes_no_contract_is_refused(version: str) -> None:
    """Files are missing for good, are none, or no answer comes."""
    with (
        echo.serve(answers=version) as (address, _),
        blocking_channel(address) as channel,
        pytest.raises(ContractError),
    ):
        fetch(channel)


def test_files_that_are_not_given_along_are_asked_for() -> None:
    """Some servers answer with one file at a time."""
    with echo.serve(answers="single") as (address, _), blocking_channel(address) as channel:
        assert fetch(channel).pool.FindServiceByName(echo.SERVICE)
