"""Log lines: what each carries, and what none may show."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.identity.v1 import identity_pb2
from mesh import log
from mesh.context import RequestContext
from mesh.settings import Settings
from mesh.telemetry import NullSpan, SpanKind, TraceContext

logger = log.get_logger("mesh.example")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Leave the process's logging as it was found."""
    root = logging.getLogger()
    ours = logging.getLogger("engine")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(capture=False)


def configure(**settings: Any) -> None:
    log.configure(Settings(log_format="json", **settings), "customer")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_carries_event_values_service_and_utc_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every line is one JSON object with the facts that all lines share."""
    configure()
    logger.info("bus_lagging", behind=3, topic="orders")
    (line,) = lines(capsys)
    time = datetime.fromisoformat(line.pop("time"))
    assert time.utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "event": "bus_lagging",
        "service": "customer",
        "logger": "mesh.example",
        "behind": 3,
        "topic": "orders",
    }


def test_a_line_within_a_trace_carries_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """The id leads from a log line to the trace, sampled or not."""
    configure()
    trace = TraceContext.root(sampled=False)
    with NullSpan(trace):
        logger.info("inside")
    logger.info("outside")
    inside, outside = lines(capsys)
    assert inside["trace_id"] == trace.trace_hex
    assert "trace_id" not in outside


def test_values_do_not_replace_what_every_line_carries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A value that happens to be named like a standard key gives way."""
    configure()
    logger.info("event", service="forged", level="forged")
    (line,) = lines(capsys)
    assert (line["service"], line["level"]) == ("customer", "info")


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "new_passwd",
        "access_token",
        "client_secret",
        "Authorization",
        "set-cookie",
        "private_key",
        "credentials",
    ],
)
def test_secrets_are_hidden_by_their_key(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value under a key that looks secret is replaced, at any depth."""
    configure()
    logger.info("signed_on", **{key: "hunter2", "inner": {key: ["hunter2"]}})
    logger.info("called", metadata=((key, "hunter2"), ("traceparent", "00")))
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert text.count(log.HIDDEN) == 3
    assert "traceparent" in text


def test_messages_and_other_objects_are_shown_by_type_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is not plain data may hold anything, so only its type is told."""
    configure()
    request = identity_pb2.CreateSessionRequest(username="rm001", password="hunter2")
    logger.info("got", request=request, context=RequestContext(token="t0p"), raw=b"hunter2")
    (line,) = lines(capsys)
    assert line["request"] == "CreateSessionRequest"
    assert line["context"] == "RequestContext"
    assert line["raw"] == "bytes"


def test_plain_data_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers, text, paths, enums and collections of them stay readable."""
    configure()
    logger.info(
        "facts", n=2**80, text="发动机", path=Path("a/b"), kind=SpanKind.CLIENT, many={1}, none=None
    )
    (line,) = lines(capsys)
    assert line["n"] == 2**80
    assert line["text"] == "发动机"
    assert line["path"] == "a/b"
    assert line["kind"] == "CLIENT"
    assert line["many"] == [1]
    assert line["none"] is None


def test_levels_below_the_setting_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    """The setting holds for our events."""
    configure(log_level="WARNING")
    logger.info("quiet")
    logger.warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_libraries_are_heard_from_warning_on_even_when_we_debug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Records of the standard library's loggers take the same form."""
    configure(log_level="DEBUG")
    logging.getLogger("alembic").info("chatter")
    logging.getLogger("alembic").warning("revision %s", "0001")
    logger.debug("detail")
    assert [(line["logger"], line["event"]) for line in lines(capsys)] == [
        ("alembic", "revision 0001"),
        ("mesh.example", "detail"),
    ]


def test_python_warnings_become_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning is logged rather than printed past the log."""
    with warnings.catch_warnings():
        configure()
        warnings.simplefilter("always")
        warnings.warn("old habit", stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = lines(capsys)
    assert line["logger"] == "py.warnings"
    assert "old habit" in line["event"]


def test_a_traceback_stays_on_its_line_and_shows_no_local_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Local variables may hold customers' data."""
    configure()
    phone = "13800138000"
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int(phone[:0])
    logger.error("call_failed", exc_info=caught.value)
    try:
        raise caught.value
    except ValueError:
        logger.exception("again")
    first, second = lines(capsys)
    for line in (first, second):
        assert "ValueError" in line["exception"]
        assert phone not in line["exception"]


def test_configuring_again_replaces_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    """A forked child configures itself anew and writes each event once."""
    configure()
    log.configure(Settings(log_format="json"), "ark")
    logger.info("hello")
    assert [line["service"] for line in lines(capsys)] == ["ark"]


def test_console_format_is_one_readable_line_without_colors_in_a_pipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a developer reads, here as a file would get it."""
    log.configure(Settings(log_format="console"), "customer")
    logger.warning("bus_lagging", behind=3)
    (line,) = capsys.readouterr().err.splitlines()
    assert "bus_lagging" in line
    assert "behind=3" in line
    assert "\x1b[" not in line


def test_importing_and_logging_unconfigured_loads_no_structlog() -> None:
    """A library that logs costs its user nothing until he configures logs."""
    program = (
        "import sys; from mesh.log import get_logger; get_logger('x').info('e', password='p'); "
        "sys.exit('structlog' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == 0
    assert b"password" not in done.stderr
