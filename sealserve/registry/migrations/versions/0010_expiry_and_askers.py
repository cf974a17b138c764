"""Tokens that end by themselves, and who asked for an answer."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add when a token ends, and whose an answer was; tokens there are go on, of earlier answers nobody is known."""
    op.add_column("tokens", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("answers", sa.Column("asker", sa.String(length=16), nullable=False, server_default=""))
