"""Traffic between two versions, and the watch after a promotion."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "traffic",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("activation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        _activation("traffic"),
        sa.PrimaryKeyConstraint("tenant", "activation", name="pk_traffic"),
    )
    op.create_table(
        "watches",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("activation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("incumbent", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=True),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        _activation("watches"),
        sa.PrimaryKeyConstraint("tenant", "activation", name="pk_watches"),
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "uq_watches_one_open_per_tenant", "watches", ["tenant"], unique=True,
        sqlite_where=is_open, postgresql_where=is_open,
    )  # fmt: skip
    op.create_table(
        "watch_counts",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("activation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("replica", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "activation"], ["watches.tenant", "watches.activation"],
            name="fk_watch_counts_tenant_activation",
        ),
        sa.PrimaryKeyConstraint("tenant", "activation", "replica", "name", name="pk_watch_counts"),
    )  # fmt: skip


def _activation(table: str) -> sa.ForeignKeyConstraint:
    columns, target = ["tenant", "activation"], ["activations.tenant", "activations.activation"]
    return sa.ForeignKeyConstraint(columns, target, name=f"fk_{table}_tenant_activation")
