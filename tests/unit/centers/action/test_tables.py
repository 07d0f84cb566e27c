"""The revisions make what the statements expect."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from centers.action.tables import metadata


@pytest.mark.embedded
@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_the_revision_makes_the_table(database: Path, name: str) -> None:
    """Columns, keys and indexes are those of `tables`."""
    engine = sa.create_engine(f"sqlite:///{database}")
    made = sa.Table(name, sa.MetaData(), autoload_with=engine)
    engine.dispose()
    wanted = metadata.tables[name]
    assert _columns(made) == _columns(wanted)
    assert _indexes(made) == _indexes(wanted)


def _columns(table: sa.Table) -> list[tuple[str, bool, bool | None]]:
    return [(one.name, one.primary_key, one.nullable) for one in table.columns]


def _indexes(table: sa.Table) -> set[tuple[str | None, tuple[str, ...], bool]]:
    return {(str(one.name), tuple(one.columns.keys()), one.unique) for one in table.indexes}
