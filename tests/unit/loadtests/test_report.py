"""What a load run counted, and when it counts as held."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.report import Line, Report


def line(kind: str, requests: int = 1000, failures: int = 0) -> Line:
    return Line(
        kind=kind,
        name="request",
        requests=requests,
        failures=failures,
        rate_per_s=1.0,
        p50_ms=1.0,
        p99_ms=2.0,
    )


MADE = {"RestUser": 5, "FrontLineUser": 3}


def test_a_run_without_failures_holds() -> None:
    """Every kind of user made requests and none failed: nothing to complain about."""
    report = Report(lines=[line("GET"), line("gRPC")], made=MADE)

    assert report.complaints() == []


@pytest.mark.parametrize(
    ("failures", "complaints"), [(2, []), (3, ["3 of 2000 requests failed, 0.1% are allowed"])]
)
def test_one_failure_in_a_thousand_is_allowed(failures: int, complaints: list[str]) -> None:
    """The bound is 0.1 % of all requests, whatever their kind."""
    lines = [line("GET", 1000, failures), line("gRPC", 500), line("SDK", 500)]
    report = Report(lines=lines, made=MADE)

    assert report.complaints() == complaints


def test_a_kind_of_user_that_made_no_request_fails_the_run() -> None:
    """Users that could not even begin must not look like success."""
    report = Report(lines=[line("GET"), line("gRPC")], made=MADE | {"SdkUser": 0})

    assert report.complaints() == ["no request by SdkUser"]


def test_a_user_that_crashed_fails_the_run() -> None:
    """An exception outside any request is not counted as one, but told."""
    report = Report(lines=[line("GET")], made=MADE, crashed=["2 x KeyError"])

    assert report.complaints() == ["a user crashed: 2 x KeyError"]


def test_a_run_that_counted_nothing_fails(tmp_path: Path) -> None:
    """A load generator that ended before it wrote anything is no success."""
    report = Report.read(tmp_path / "missing.json")

    assert report.complaints() == ["no user made a request"]


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Nothing is lost between the load generator's process and the one that judges."""
    report = Report(
        lines=[line("GET", 7, 1)], made=MADE, failed=["1 x GET request: 500"], crashed=["1 x oops"]
    )

    report.write(tmp_path / "report.json")

    assert Report.read(tmp_path / "report.json") == report


def test_the_report_shows_each_line_and_each_failure() -> None:
    """A head, a row for each sort of request, and what failed below."""
    shown = str(Report(lines=[line("GET", 7), line("SDK", 8)], failed=["1 x GET request: 500"]))

    assert [row.split()[:3] for row in shown.splitlines()[1:3]] == [
        ["GET", "request", "7"],
        ["SDK", "request", "8"],
    ]
    assert shown.splitlines()[3] == "1 x GET request: 500"
