"""The fact that a quiz question asks about."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the fact of each question; of earlier questions each asks about something of its own."""
    op.add_column("quiz", sa.Column("fact", sa.Text(), nullable=False, server_default=""))
