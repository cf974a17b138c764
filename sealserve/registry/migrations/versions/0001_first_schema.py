"""The first schema. Forwards only: a registry is restored from a backup, never downgraded by a migration."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("state IN ('pending', 'running')")


def upgrade() -> None:
    """Create every table."""
    _tenants_and_documents()
    _cycles()
    _studies()
    _versions()
    _bookkeeping()


def _tenants_and_documents() -> None:
    op.create_table(
        "tenants",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("desired_version", sa.Integer(), nullable=False),
        sa.Column("activation", sa.Integer(), nullable=False),
        sa.Column("etag", sa.String(length=16), nullable=False),
        sa.Column("newest_version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_tenants"),
    )
    op.create_table(
        "documents",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("document", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("contents", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_documents_tenant"),
        sa.PrimaryKeyConstraint("sequence", name="pk_documents"),
        sa.UniqueConstraint("tenant", "document", name="uq_documents_tenant_document"),
    )
    op.create_index("ix_documents_tenant_state", "documents", ["tenant", "state"])


def _cycles() -> None:
    op.create_table(
        "cycles",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("cycle", sa.String(length=32), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=True),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("leased_until", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_cycles_tenant"),
        sa.PrimaryKeyConstraint("sequence", name="pk_cycles"),
        sa.UniqueConstraint("cycle", name="uq_cycles_cycle"),
    )
    op.create_index("ix_cycles_tenant", "cycles", ["tenant"])
    op.create_index(
        "uq_cycles_one_open_per_tenant", "cycles", ["tenant"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_table(
        "cycle_documents",
        sa.Column("cycle", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("document", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["cycle"], ["cycles.cycle"], name="fk_cycle_documents_cycle"),
        sa.ForeignKeyConstraint(
            ["tenant", "document"],
            ["documents.tenant", "documents.document"],
            name="fk_cycle_documents_tenant_document",
        ),
        sa.PrimaryKeyConstraint("cycle", "position", name="pk_cycle_documents"),
    )
    op.create_table(
        "steps",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("cycle", sa.String(length=32), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("output", sa.JSON(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["cycle"], ["cycles.cycle"], name="fk_steps_cycle"),
        sa.PrimaryKeyConstraint("sequence", name="pk_steps"),
        sa.UniqueConstraint("cycle", "step", name="uq_steps_cycle_step"),
    )


def _studies() -> None:
    op.create_table(
        "self_edits",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("cycle", sa.String(length=32), nullable=False),
        sa.Column("self_edit", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("document", sa.String(length=16), nullable=False),
        sa.Column("template", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("admitted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["cycle"], ["cycles.cycle"], name="fk_self_edits_cycle"),
        sa.ForeignKeyConstraint(
            ["tenant", "document"], ["documents.tenant", "documents.document"], name="fk_self_edits_tenant_document"
        ),
        sa.PrimaryKeyConstraint("sequence", name="pk_self_edits"),
        sa.UniqueConstraint("cycle", "self_edit", name="uq_self_edits_cycle_self_edit"),
    )
    op.create_index("ix_self_edits_tenant_document", "self_edits", ["tenant", "document"])
    op.create_table(
        "quiz",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("cycle", sa.String(length=32), nullable=False),
        sa.Column("item", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("document", sa.String(length=16), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["cycle"], ["cycles.cycle"], name="fk_quiz_cycle"),
        sa.ForeignKeyConstraint(
            ["tenant", "document"], ["documents.tenant", "documents.document"], name="fk_quiz_tenant_document"
        ),
        sa.PrimaryKeyConstraint("sequence", name="pk_quiz"),
        sa.UniqueConstraint("cycle", "item", name="uq_quiz_cycle_item"),
    )
    op.create_index("ix_quiz_tenant_document", "quiz", ["tenant", "document"])
    op.create_table(
        "candidates",
        sa.Column("cycle", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("artifact", sa.String(length=64), nullable=False),
        sa.Column("final_loss", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["cycle"], ["cycles.cycle"], name="fk_candidates_cycle"),
        sa.PrimaryKeyConstraint("cycle", "position", name="pk_candidates"),
    )


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("artifact", sa.String(length=64), nullable=False),
        sa.Column("engine_name", sa.String(length=96), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cycle", sa.String(length=32), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=False),
        sa.Column("lineage", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["cycle"], ["cycles.cycle"], name="fk_versions_cycle"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_versions_tenant"),
        sa.PrimaryKeyConstraint("tenant", "version", name="pk_versions"),
        sa.UniqueConstraint("engine_name", name="uq_versions_engine_name"),
    )
    op.create_table(
        "version_documents",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "document"],
            ["documents.tenant", "documents.document"],
            name="fk_version_documents_tenant_document",
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "version"], ["versions.tenant", "versions.version"], name="fk_version_documents_tenant_version"
        ),
        sa.PrimaryKeyConstraint("tenant", "version", "position", name="pk_version_documents"),
    )
    op.create_table(
        "activations",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("activation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=False),
        sa.Column("below", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_activations_tenant"),
        sa.PrimaryKeyConstraint("tenant", "activation", name="pk_activations"),
    )
    op.create_table(
        "observed",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("replica", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("activation", sa.Integer(), nullable=False),
        sa.Column("observed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_observed_tenant"),
        sa.PrimaryKeyConstraint("tenant", "replica", name="pk_observed"),
    )


def _bookkeeping() -> None:
    op.create_table(
        "requests",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("arguments", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "method", "request_id", name="pk_requests"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("leased_until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "audit",
        sa.Column("sequence", SEQUENCE, autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit"),
    )
    op.create_index("ix_audit_tenant_sequence", "audit", ["tenant", "sequence"])
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
