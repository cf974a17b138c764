"""Sources of documents, and what became of each of their items."""

import sqlalchemy as sa
from alembic import op

from sealserve.registry.sql.tables import UtcTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add both tables; no installation has sources before."""
    _add_sources()
    _add_items()


def _add_sources() -> None:
    op.create_table(
        "sources",
        sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.tenant"), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("mirror", sa.Boolean(), nullable=False),
        sa.Column("interval_seconds", sa.Float(), nullable=False),
        sa.Column("secret_variable", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("next_sync_at", UtcTime()),
        sa.Column("requested_at", UtcTime()),
        sa.Column("removals_accepted", sa.Boolean(), nullable=False),
        sa.Column("started_at", UtcTime()),
        sa.Column("finished_at", UtcTime()),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("alarm", sa.Text(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.UniqueConstraint("tenant", "name", name="uq_sources_tenant_name"),
    )
    op.create_index("ix_sources_next_sync_at", "sources", ["next_sync_at"])


def _add_items() -> None:
    op.create_table(
        "source_items",
        sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("key_digest", sa.String(64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("document", sa.String(16), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.Column("superseded", sa.JSON(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("validator", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("checked_at", UtcTime(), nullable=False),
        sa.UniqueConstraint("tenant", "source", "key_digest", name="uq_source_items_tenant_source_key_digest"),
        sa.ForeignKeyConstraint(
            ["tenant", "source"], ["sources.tenant", "sources.name"], name="fk_source_items_tenant_source"
        ),
    )
    op.create_index("ix_source_items_tenant_document", "source_items", ["tenant", "document"])
