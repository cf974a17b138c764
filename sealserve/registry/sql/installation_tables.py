"""The tables of trusted keys and of tenants' editors. No queries; they belong to `tables.py`'s metadata."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text

from sealserve.registry.sql.tables import GeneratedText, UtcTime, metadata

trusted_keys = Table(
    "trusted_keys",
    metadata,
    Column("key", String(16), primary_key=True),  # as envelopes name it: the start of the fingerprint
    Column("public_key", String(64), nullable=False),  # Ed25519, 32 bytes in base64
    Column("name", GeneratedText, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),  # null: its signatures count
)

editors = Table(
    "editors",
    metadata,
    Column("tenant", ForeignKey("tenants.tenant"), primary_key=True),
    Column("active", Integer, nullable=False),  # the round whose editor writes; 0: the base model
    Column("archive", JSON, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

editor_rounds = Table(
    "editor_rounds",
    metadata,
    Column("tenant", ForeignKey("editors.tenant"), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("artifact", String(64), nullable=False),  # "": the round made no editor, or it is gone
    Column("contents", JSON, nullable=False),
    Index(None, "artifact"),
)
