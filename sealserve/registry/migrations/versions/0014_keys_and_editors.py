"""Trusted public keys, and tenants' editors with their rounds."""

import sqlalchemy as sa
from alembic import op

from sealserve.registry.sql.tables import UtcTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; they are filled from the files of the data directory at the next start."""
    op.create_table(
        "trusted_keys",
        sa.Column("key", sa.String(16), primary_key=True),
        sa.Column("public_key", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", UtcTime(), nullable=False),
        sa.Column("removed_at", UtcTime()),
    )
    op.create_table(
        "editors",
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.tenant"), primary_key=True),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("archive", sa.JSON(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
    )
    op.create_table(
        "editor_rounds",
        sa.Column("tenant", sa.String(63), sa.ForeignKey("editors.tenant"), primary_key=True),
        sa.Column("round", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("artifact", sa.String(64), nullable=False),
        sa.Column("contents", sa.JSON(), nullable=False),
    )
    op.create_index("ix_editor_rounds_artifact", "editor_rounds", ["artifact"])
