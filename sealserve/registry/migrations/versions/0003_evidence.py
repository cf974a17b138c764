"""Kept measurements, feedback and evaluation sets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "measurements",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_measurements"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_measurements_tenant"),
        sa.UniqueConstraint("tenant", "key", name="uq_measurements_tenant_key"),
    )
    op.create_table(
        "feedback",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("feedback", sa.String(length=32), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("answer_request", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("thumb", sa.String(length=8), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("correction", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_feedback"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_feedback_tenant"),
        sa.UniqueConstraint("feedback", name="uq_feedback_feedback"),
        sa.UniqueConstraint("tenant", "answer_request", name="uq_feedback_tenant_answer_request"),
    )
    op.create_table(
        "evaluation_sets",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_evaluation_sets"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_evaluation_sets_tenant"),
        sa.UniqueConstraint("tenant", "name", "revision", name="uq_evaluation_sets_tenant_name_revision"),
    )
