"""The tables of what candidates are measured by: kept measurements, people's feedback, evaluation sets.

No queries. They share the metadata of `tables.py`.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from sealserve.registry.sql.tables import GeneratedText, UtcTime, metadata

_ALL_BUT_ITEMS = ("digest", "actor", "created_at", "item_count", "size_bytes")
"""A listing is read from an index: SQLite reads a row's items, megabytes of them, to get at the columns after them."""

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


def _sequence() -> Column[int]:
    return Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True)


measurements = Table(
    "measurements",
    metadata,
    _sequence(),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("key", String(64), nullable=False),  # digest of what was measured, how, and on which adapter and base
    Column("scores", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "key"),
)

feedback = Table(
    "feedback",
    metadata,
    _sequence(),
    Column("feedback", String(32), nullable=False, unique=True),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("answer_request", String(128), nullable=False),  # request id of the answer it is about
    Column("version", Integer, nullable=False),  # that gave the answer; 0: the base model
    Column("thumb", String(8), nullable=False),
    Column("question", GeneratedText, nullable=False),
    Column("answer", GeneratedText, nullable=False),
    Column("correction", GeneratedText, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "answer_request"),
)

evaluation_sets = Table(
    "evaluation_sets",
    metadata,
    _sequence(),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("name", String(63), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("items", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("item_count", Integer, nullable=False, server_default="0"),
    Column("size_bytes", BigInteger, nullable=False, server_default="0"),  # of its items
    UniqueConstraint("tenant", "name", "revision"),
    Index(None, "tenant", "size_bytes"),
    Index("ix_evaluation_sets_listing", "tenant", "sequence", "name", "revision", *_ALL_BUT_ITEMS),
)

answers = Table(
    "answers",
    metadata,
    _sequence(),
    Column("answer_request", String(128), nullable=False),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("version", Integer, nullable=False),  # 0: the base model
    Column("activation", BigInteger, nullable=False),
    Column("answered_at", UtcTime, nullable=False),
    Column(
        "asker", String(16), nullable=False, server_default=""
    ),  # keyed digest of the sticky key; "": none was given
    Index(None, "answer_request"),
    Index(None, "answered_at"),
)


canary_suites = Table(
    "canary_suites",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("name", String(63), nullable=False),
    Column("version", Integer, nullable=False),
    Column("items", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("retired_at", UtcTime),
    Column("item_count", Integer, nullable=False, server_default="0"),
    Column("size_bytes", BigInteger, nullable=False, server_default="0"),  # of its items
    UniqueConstraint("tenant", "name", "version"),
    Index(None, "tenant", "size_bytes"),
    Index("ix_canary_suites_listing", "tenant", "sequence", "name", "version", *_ALL_BUT_ITEMS, "retired_at"),
)


canary_results = Table(
    "canary_results",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("tenant", ForeignKey("tenants.tenant"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("suite", String(63), nullable=False),
    Column("suite_version", Integer, nullable=False),  # 0: facts and unknown things
    Column("n", Integer, nullable=False),  # 0: not measured
    *(Column(name, Float, nullable=False) for name in ("share", "low", "high", "gain", "gain_low", "gain_high")),
    Column("fell", JSON, nullable=False),
    Column("why", Text, nullable=False),
    Column("taken_at", UtcTime, nullable=False),
    Index("ix_canary_results_tenant_suite", "tenant", "suite"),
)
