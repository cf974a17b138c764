"""The servers that run: what they observe counts while they are alive."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of replicas. A server of an earlier release is not in it, and its reports do not count."""
    op.create_table(
        "replicas",
        sa.Column("replica", sa.String(length=255), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("replica", name="pk_replicas"),
    )
