"""What people say of held versions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "opinions",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("cycle", sa.String(length=32), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("approves", sa.Boolean(), nullable=False),
        sa.Column("releases", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cycle"], ["cycles.cycle"], name="fk_opinions_cycle"),
        sa.ForeignKeyConstraint(
            ["tenant", "version"], ["versions.tenant", "versions.version"], name="fk_opinions_tenant_version"
        ),
        sa.PrimaryKeyConstraint("sequence", name="pk_opinions"),
        sa.UniqueConstraint("cycle", "actor", "approves", name="uq_opinions_cycle_actor_approves"),
    )
