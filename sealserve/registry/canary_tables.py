"""The tables of canary suites and of how versions did in them. No queries."""

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

from sealserve.registry.tables import UtcTime, metadata

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")

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
    UniqueConstraint("tenant", "name", "version"),
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
