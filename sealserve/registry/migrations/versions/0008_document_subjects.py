"""What documents are about, to find those that speak of the same."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "document_subjects",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("document", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "document"],
            ["documents.tenant", "documents.document"],
            name="fk_document_subjects_tenant_document",
        ),
        sa.PrimaryKeyConstraint("tenant", "document", "subject", name="pk_document_subjects"),
    )
    op.create_index("ix_document_subjects_tenant_subject", "document_subjects", ["tenant", "subject"])
