"""The tables of sources and of their items. No queries; they belong to `tables.py`'s metadata."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from sealserve.registry.sql.tables import GeneratedText, UtcTime, metadata

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")

sources = Table(
    "sources",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("name", String(40), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("location", Text, nullable=False),
    Column("mirror", Boolean, nullable=False),
    Column("interval_seconds", Float, nullable=False),
    Column("secret_variable", Text, nullable=False),  # its name; what it holds is kept nowhere
    Column("options", JSON, nullable=False),  # include, branch, linked_pages
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("next_sync_at", UtcTime),  # null: by itself never
    Column("requested_at", UtcTime),  # when somebody last asked for a sync
    Column("removals_accepted", Boolean, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("failures", Integer, nullable=False),
    Column("error", GeneratedText, nullable=False),
    Column("alarm", GeneratedText, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("cursor", GeneratedText, nullable=False),
    UniqueConstraint("tenant", "name"),
    Index(None, "next_sync_at"),
)

source_items = Table(
    "source_items",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("tenant", String(63), nullable=False),
    Column("source", String(40), nullable=False),
    Column("key_digest", String(64), nullable=False),  # a key may be longer than an index takes
    Column("key", GeneratedText, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", GeneratedText, nullable=False),
    Column("document", String(16), nullable=False),
    Column("is_own", Boolean, nullable=False),
    Column("superseded", JSON, nullable=False),
    Column("token", GeneratedText, nullable=False),
    Column("validator", GeneratedText, nullable=False),
    Column("content_digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("checked_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "source", "key_digest"),
    ForeignKeyConstraint(["tenant", "source"], ["sources.tenant", "sources.name"]),
    Index(None, "tenant", "document"),
)
