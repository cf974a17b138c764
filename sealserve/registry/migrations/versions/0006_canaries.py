"""Canary suites, and how versions did in them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERS = ("share", "low", "high", "gain", "gain_low", "gain_high")


def upgrade() -> None:
    """Create the two tables and the index."""
    op.create_table(
        "canary_suites",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("retired_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_canary_suites"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_canary_suites_tenant"),
        sa.UniqueConstraint("tenant", "name", "version", name="uq_canary_suites_tenant_name_version"),
    )
    op.create_table(
        "canary_results",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("suite", sa.String(length=63), nullable=False),
        sa.Column("suite_version", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in NUMBERS),
        sa.Column("fell", sa.JSON(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_canary_results"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_canary_results_tenant"),
    )
    op.create_index("ix_canary_results_tenant_suite", "canary_results", ["tenant", "suite"])
