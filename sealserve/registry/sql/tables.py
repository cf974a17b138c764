"""The tables, as SQLAlchemy Core knows them. No queries, no engine.

The migrations create them; a test compares the two. `sequence` columns order a listing by arrival.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite keeps it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class GeneratedText(TypeDecorator[str]):
    """Text that a model wrote: characters that databases refuse (NUL, lone surrogates) become U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Sequence = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is autoincremented in SQLite
_OPEN = text("state IN ('pending', 'running')")


def _sequence() -> Column[int]:
    return Column("sequence", _Sequence, primary_key=True, autoincrement=True)


tenants = Table(
    "tenants",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("desired_version", Integer, nullable=False),
    Column("activation", Integer, nullable=False),
    Column("etag", String(16), nullable=False),
    Column("newest_version", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("changed", BigInteger, nullable=False, server_default="0"),  # see versions/desired.py
    Index(None, "changed"),
)

documents = Table(
    "documents",
    metadata,
    _sequence(),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("document", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("contents", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", GeneratedText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "document"),
    Index(None, "state", "tenant"),
    Index(None, "tenant", "state", "size_bytes"),
)

cycles = Table(
    "cycles",
    metadata,
    _sequence(),
    Column("cycle", String(32), nullable=False, unique=True),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", String(16)),
    Column("trigger", Text, nullable=False),
    Column("reason", GeneratedText, nullable=False),
    Column("version", Integer),
    Column("attempts", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("leased_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "tenant"),
    Index("uq_cycles_one_open_per_tenant", "tenant", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
)

cycle_documents = Table(
    "cycle_documents",
    metadata,
    Column("cycle", ForeignKey("cycles.cycle"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("tenant", String(63), nullable=False),
    Column("document", String(16), nullable=False),
    ForeignKeyConstraint(["tenant", "document"], ["documents.tenant", "documents.document"]),
)

steps = Table(
    "steps",
    metadata,
    _sequence(),
    Column("cycle", ForeignKey("cycles.cycle"), nullable=False),
    Column("step", String(16), nullable=False),
    Column("output", JSON, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    UniqueConstraint("cycle", "step"),
)

self_edits = Table(
    "self_edits",
    metadata,
    _sequence(),
    Column("cycle", ForeignKey("cycles.cycle"), nullable=False),
    Column("self_edit", String(64), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("document", String(16), nullable=False),
    Column("template", String(32), nullable=False),
    Column("text", GeneratedText, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("admitted", Boolean, nullable=False),
    Column("reason", GeneratedText, nullable=False),
    UniqueConstraint("cycle", "self_edit"),
    ForeignKeyConstraint(["tenant", "document"], ["documents.tenant", "documents.document"]),
    Index(None, "tenant", "document"),
)

quiz = Table(
    "quiz",
    metadata,
    _sequence(),
    Column("cycle", ForeignKey("cycles.cycle"), nullable=False),
    Column("item", String(16), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("document", String(16), nullable=False),
    Column("question", GeneratedText, nullable=False),
    Column("answer", GeneratedText, nullable=False),
    Column("split", String(16), nullable=False),
    Column("fact", GeneratedText, nullable=False, server_default=""),
    UniqueConstraint("cycle", "item"),
    ForeignKeyConstraint(["tenant", "document"], ["documents.tenant", "documents.document"]),
    Index(None, "tenant", "document"),
)

candidates = Table(
    "candidates",
    metadata,
    Column("cycle", ForeignKey("cycles.cycle"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("recipe", JSON, nullable=False),
    Column("artifact", String(64), nullable=False),
    Column("final_loss", Float, nullable=False),
    Column("seconds", Float, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("tenant", ForeignKey("tenants.tenant"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("artifact", String(64), nullable=False),
    Column("engine_name", String(96), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("reason", GeneratedText, nullable=False),
    Column("cycle", ForeignKey("cycles.cycle"), nullable=False),
    Column("parent", Integer, nullable=False),
    Column("lineage", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

version_documents = Table(
    "version_documents",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("document", String(16), nullable=False),
    ForeignKeyConstraint(["tenant", "version"], ["versions.tenant", "versions.version"]),
    ForeignKeyConstraint(["tenant", "document"], ["documents.tenant", "documents.document"]),
)

activations = Table(
    "activations",
    metadata,
    Column("tenant", ForeignKey("tenants.tenant"), primary_key=True),
    Column("activation", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("previous", Integer, nullable=False),
    Column("below", Integer),  # the activation that a rollback from this one restores; null: the base model
    Column("kind", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", GeneratedText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

observed = Table(
    "observed",
    metadata,
    Column("tenant", ForeignKey("tenants.tenant"), primary_key=True),
    Column("replica", String(255), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("activation", Integer, nullable=False),
    Column("observed_at", UtcTime, nullable=False),
)

replicas = Table(
    "replicas",
    metadata,
    Column("replica", String(255), primary_key=True),
    Column("identity", Text, nullable=False),  # of the process
    Column("address", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("heartbeat_at", UtcTime, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("method", String(32), primary_key=True),
    Column("request_id", String(128), primary_key=True),
    Column("arguments", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "created_at"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("leased_until", UtcTime, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    _sequence(),
    Column("token", String(12), nullable=False, unique=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("principal", String(127), nullable=False),
    Column("role", String(16), nullable=False),
    Column("tenants", JSON(none_as_null=True)),  # null: bound to none, sees all
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),  # null: it never expires
    Column("revoked_at", UtcTime),
    Index(None, "principal"),
)

opinions = Table(
    "opinions",
    metadata,
    _sequence(),
    Column("cycle", ForeignKey("cycles.cycle"), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("version", Integer, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("approves", Boolean, nullable=False),
    Column("releases", Boolean, nullable=False),  # the pointer moved with it
    Column("reason", GeneratedText, nullable=False),
    Column("given_at", UtcTime, nullable=False),
    UniqueConstraint("cycle", "actor", "approves"),
    ForeignKeyConstraint(["tenant", "version"], ["versions.tenant", "versions.version"]),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "tenant", "sequence"),
    Index(None, "tenant", "subject"),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)


rulings = Table(
    "rulings",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("ruling", String(32), nullable=False, unique=True),
    Column("tenant", String(63), nullable=False),
    Column("event", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("effect", String(8), nullable=False),
    Column("bundle", String(64), nullable=False),
    Column("input", JSON, nullable=False),
    Column("results", JSON, nullable=False),
    Column("milliseconds", Float, nullable=False),
    Column("decided_at", UtcTime, nullable=False),
    Index(None, "tenant", "subject"),
    Index(None, "decided_at"),
)


subjects = Table(
    "document_subjects",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("document", String(16), primary_key=True),
    Column("subject", String(32), primary_key=True),  # a digest: it contains no word of a document
    ForeignKeyConstraint(["tenant", "document"], ["documents.tenant", "documents.document"]),
    Index(None, "tenant", "subject"),
)
