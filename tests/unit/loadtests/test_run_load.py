"""When a load run counts as held."""

from __future__ import annotations

from pathlib import Path

from loadtests.run_load import Line, read_lines, summary, verdict

CSV = (
    "Type,Name,Request Count,Failure Count,Requests/s,50%,99%\n"
    "GET,/v1/customers,120,1,30.5,4,25\n"
    ",Aggregated,120,1,30.5,4,25\n"
)


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


def test_a_run_without_failures_holds() -> None:
    """Every kind of user made requests and none failed: nothing to complain about."""
    assert verdict([line("GET"), line("POST"), line("gRPC"), line("SDK")]) == []


def test_one_failure_in_a_thousand_is_allowed_and_two_are_not() -> None:
    """The bound is 0.1 % of all requests, whatever their kind."""
    others = [line("gRPC", 500), line("SDK", 500)]

    assert verdict([line("GET", 1000, 2), *others]) == []
    assert verdict([line("GET", 1000, 3), *others]) == [
        "3 of 2000 requests failed, 0.1% are allowed"
    ]


def test_a_kind_of_user_that_made_no_request_fails_the_run() -> None:
    """Users that could not even begin must not look like success."""
    assert verdict([line("GET"), line("gRPC")]) == ["no request by SDK users"]


def test_a_run_that_counted_nothing_fails() -> None:
    """Without statistics there is nothing to rely on."""
    assert verdict([]) == [f"no request by {user} users" for user in ("REST", "stub", "SDK")]


def test_lines_are_read_from_what_locust_wrote(tmp_path: Path) -> None:
    """The aggregate is left out: it would count each request twice."""
    (tmp_path / "load_stats.csv").write_text(CSV)

    (read,) = read_lines(tmp_path / "load")

    assert (read.kind, read.name, read.requests, read.failures) == ("GET", "/v1/customers", 120, 1)
    assert (read.rate_per_s, read.p50_ms, read.p99_ms) == (30.5, 4.0, 25.0)


def test_missing_statistics_read_as_none(tmp_path: Path) -> None:
    """A locust that ended before it wrote anything gives no lines."""
    assert read_lines(tmp_path / "load") == []


def test_the_summary_has_a_row_for_each_request() -> None:
    """One head line, then one line each with its count."""
    rows = summary([line("GET", 7), line("SDK", 8)]).splitlines()

    assert len(rows) == 3
    assert " 7 " in rows[1]
    assert " 8 " in rows[2]
