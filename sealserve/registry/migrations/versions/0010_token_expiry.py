"""Tokens that end by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add when a token ends; those there are go on."""
    op.add_column("tokens", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
