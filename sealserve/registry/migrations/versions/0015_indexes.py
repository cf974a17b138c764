"""Indexes for reads that grow with the tables."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEXES = (
    ("documents", "state", "tenant"),  # who waits to be learned, and how many documents are in each state
    ("audit", "tenant", "subject"),  # who is behind a cycle or a document
    ("requests", "created_at"),  # what has been kept for long enough
    ("rulings", "decided_at"),
)


def upgrade() -> None:
    """Add them."""
    for table, *columns in INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)
