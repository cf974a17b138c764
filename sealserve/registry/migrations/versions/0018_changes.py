"""A number that grows with every change of what should answer some tenant: replicas read what changed, not everything.

The tenants there are get theirs in the order of their newest activations.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the number and its index."""
    op.add_column("tenants", sa.Column("changed", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_tenants_changed", "tenants", ["changed"])
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT t.tenant FROM tenants t JOIN activations a ON a.tenant = t.tenant AND a.activation = t.activation "
            "ORDER BY a.created_at, t.tenant"
        )
    )
    numbered = [{"number": number, "tenant": row.tenant} for number, row in enumerate(rows, start=1)]
    if numbered:
        connection.execute(sa.text("UPDATE tenants SET changed = :number WHERE tenant = :tenant"), numbered)
