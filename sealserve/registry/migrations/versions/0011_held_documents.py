"""Held documents have a state of their own; earlier they were quarantined, with a reason that began "HELD: "."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the documents that wait for a person to the state `held`, and cut the prefix off their reasons."""
    op.execute(
        "UPDATE documents SET state = 'held', reason = substr(reason, 7) "
        "WHERE state = 'quarantined' AND substr(reason, 1, 6) = 'HELD: '"
    )
