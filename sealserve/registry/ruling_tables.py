"""The table of decisions by written rules. No queries; it belongs to the metadata of `tables.py`."""

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, String, Table, Text

from sealserve.registry.tables import UtcTime, metadata

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
)
