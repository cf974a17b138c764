"""Indexes that hold all of a listing: to get at columns that stand after a row's items, SQLite reads megabytes."""

from alembic import op

revision = "0021"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index of everything but the items."""
    shared = ["digest", "actor", "created_at", "item_count", "size_bytes"]
    op.create_index(
        "ix_evaluation_sets_listing", "evaluation_sets", ["tenant", "sequence", "name", "revision", *shared]
    )
    op.create_index(
        "ix_canary_suites_listing", "canary_suites", ["tenant", "sequence", "name", "version", *shared, "retired_at"]
    )
