"""What is measured of gaps, and reported once a day."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from mesh.telemetry import Meters
from sequencer.definition import Definition, Serial
from sequencer.gapless import DailyReport
from sequencer.gapless.report import day_of, period_of
from sequencer.gapless.tables import report_table
from sequencer.sdk.serial import Reset
from tests.unit.sequencer.gapless.desk import NAME, Desk, definition


class Names:
    """The one sequence."""

    async def get(self, uid: int) -> Definition | None:
        """It, by its identity."""
        only = definition()
        return only if uid == only.uid else None


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk(tmp_path) as desk:
        yield desk


def report(desk: Desk) -> DailyReport:
    return DailyReport(desk.gaps, Names(), desk.clock, desk.meters)


def measured(meters: Meters) -> dict[str, float]:
    found = {name: read() for name, read in meters.gauges.items() if "gapless" in name}
    return {name.removeprefix("sequencer.gapless."): value for name, value in found.items()}


async def test_gauges_show_what_is_open_and_since_when(desk: Desk) -> None:
    """The oldest open reservation is what somebody should ask its holder about."""
    await desk.reserve(2, ttl=timedelta(seconds=5))
    desk.clock.advance(3)
    held = await desk.reserve(4)
    await desk.release(held, [3])
    await desk.void(4)
    desk.clock.advance(4)

    daily = report(desk)
    await daily.look()

    assert measured(desk.meters) == {
        "reserved_numbers": 2,
        "expired_numbers": 2,
        "released_numbers": 1,
        "void_numbers": 1,
        "lost_track_numbers": 0,
        "oldest_open_s": 7,
    }


async def test_a_day_is_reported_once_however_many_servers_there_are(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """The first server after midnight keeps and logs it; the others, and it again, do not."""
    caplog.set_level(logging.INFO)
    await desk.reserve(2)
    servers = [report(desk), report(desk)]

    for server in (*servers, *servers):
        await server.look()
    desk.clock.advance(86_400)
    await servers[1].look()

    rows = await desk.store.fetch_all(
        sa.select(report_table).order_by(report_table.c.day, report_table.c.sequence)
    )
    assert [(row.day, row.sequence, row.reserved, row.expired) for row in rows] == [
        ("2026-11-25", 0, 2, 0),
        ("2026-11-25", 7, 2, 0),
        ("2026-11-26", 0, 0, 2),
        ("2026-11-26", 7, 0, 2),
    ]
    told = [record for record in caplog.records if record.getMessage() == "gap_report"]
    assert len(told) == 2


async def test_a_day_without_gaps_is_reported_too(desk: Desk) -> None:
    """That nothing was missing is worth a line."""
    await desk.confirm(await desk.reserve(2))
    await report(desk).look()

    (row,) = await desk.store.fetch_all(sa.select(report_table))
    assert (row.sequence, row.oldest_us) == (0, 0)


@pytest.mark.parametrize(
    ("reset", "name"),
    [
        (Reset.NONE, NAME),
        (Reset.YEAR, f"{NAME}@2026"),
        (Reset.MONTH, f"{NAME}@202611"),
        (Reset.DAY, f"{NAME}@20261126"),
    ],
)
def test_a_business_date_leads_to_its_period(reset: Reset, name: str) -> None:
    """Where numbers begin anew, the date's are a sequence of their own."""
    serial = Serial(template="LN{number:06}", zone="Asia/Shanghai", reset=reset)

    assert period_of(replace(definition(), serial=serial), date(2026, 11, 26)) == name


def test_a_period_of_the_first_thousand_years_has_a_name_like_any_other() -> None:
    """Four digits of a year: "999" would be no period."""
    serial = Serial(template="LN{number:06}", zone="Asia/Shanghai", reset=Reset.DAY)

    assert period_of(replace(definition(), serial=serial), date(999, 1, 2)) == f"{NAME}@09990102"


def test_a_day_begins_at_midnight_of_the_sequences_zone() -> None:
    """Without one at midnight of the bank's."""
    for zone, hour in (("", 16), ("Asia/Shanghai", 16), ("Europe/London", 0)):
        serial = Serial(template="LN{number:06}", zone=zone)
        span = day_of(replace(definition(), serial=serial), date(2026, 11, 26))
        assert span.begin is not None
        assert span.end is not None
        assert span.begin.astimezone(tz=None).timestamp() % 86_400 == hour * 3_600
        assert span.end - span.begin == timedelta(days=1)
