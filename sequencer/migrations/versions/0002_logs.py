"""A sequence is a log of entries; the newest one says how far it has come.

Sequencers of the revision before do not know of the logs: stop them first. Revision
0006 takes their counters away, lest both grant the same ids.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

changes_data = "the new rows follow from those of the old tables, which nobody writes any more"

_MOVE = (
    # what a sequence is; identities of those from before are small numbers
    """
    INSERT INTO definition (uid, name, kind, state, start, min_value, max_value, increment,
        cycle, retention_days, callers, serial, layout, parent, revision, create_us)
    SELECT (SELECT COUNT(*) FROM sequence AS other WHERE other.name <= sequence.name), name, 1, 1,
        start, start, max_value, 1, 0, 400, '', '', '', 0, 1, create_us
    FROM sequence
    """,
    "INSERT INTO sequence_name (name, uid) SELECT name, uid FROM definition",
    # who got what; nothing is granted from these any more
    """
    INSERT INTO entry (sequence, number, mark, epoch, action, position, size, source,
        caller, client_id, time_us, next_position, fence, tails, note)
    SELECT definition.uid, lease.number, 0, 0, lease.state, lease.first - definition.start,
        lease.size, 0, lease.client_id, '', lease.lease_us, 0, 0, '', ''
    FROM lease JOIN definition ON definition.name = lease.sequence
    """,
    # the tip
    """
    INSERT INTO entry (sequence, number, mark, epoch, action, position, size, source,
        caller, client_id, time_us, next_position, fence, tails, note)
    SELECT definition.uid, sequence.lease_number + 1, 0, 0, 5,
        sequence.last_value - sequence.start + 1, 0, 0, 'mesh:sequencer', 'upgrade',
        sequence.create_us, sequence.last_value - sequence.start + 1, 0, '', 'moved to a log'
    FROM sequence JOIN definition ON definition.name = sequence.name
    """,
)


def upgrade() -> None:
    op.create_table(
        "definition",
        sa.Column("uid", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(110), nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("min_value", sa.BigInteger, nullable=False),
        sa.Column("max_value", sa.BigInteger, nullable=False),
        sa.Column("increment", sa.BigInteger, nullable=False),
        sa.Column("cycle", sa.SmallInteger, nullable=False),
        sa.Column("retention_days", sa.Integer, nullable=False),
        sa.Column("callers", sa.Text, nullable=False),
        sa.Column("serial", sa.Text, nullable=False),
        sa.Column("layout", sa.Text, nullable=False),
        sa.Column("parent", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
    )
    op.create_index("definition_name", "definition", ["name"])
    op.create_index("definition_parent", "definition", ["parent"])
    op.create_table(
        "sequence_name",
        sa.Column("name", sa.String(110), primary_key=True),
        sa.Column("uid", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "entry",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("mark", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("action", sa.SmallInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("source", sa.BigInteger, nullable=False),
        sa.Column("caller", sa.String(150), nullable=False),
        sa.Column("client_id", sa.String(150), nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("next_position", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("tails", sa.Text, nullable=False),
        sa.Column("note", sa.String(500), nullable=False),
    )
    op.create_index("entry_position", "entry", ["sequence", "position"])
    op.create_index("entry_source", "entry", ["sequence", "source"])
    op.create_index("entry_time", "entry", ["sequence", "time_us"])
    for statement in _MOVE:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("entry")
    op.drop_table("sequence_name")
    op.drop_table("definition")
