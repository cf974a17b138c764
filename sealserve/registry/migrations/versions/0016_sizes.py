"""How many items evaluation sets and canary suites have, and how large they are: nobody reads them to count."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add count and size of the sets and suites there are, and indexes that add up what a tenant keeps."""
    for table in ("evaluation_sets", "canary_suites"):
        op.add_column(table, sa.Column("item_count", sa.Integer(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default="0"))
        op.execute(
            f"UPDATE {table} SET item_count = json_array_length(items), size_bytes = length(CAST(items AS TEXT))"
        )
        op.create_index(f"ix_{table}_tenant_size_bytes", table, ["tenant", "size_bytes"])
    op.create_index("ix_documents_tenant_state_size_bytes", "documents", ["tenant", "state", "size_bytes"])
    op.drop_index("ix_documents_tenant_state", table_name="documents")
