"""The table of what documents are about. No queries; it belongs to the metadata of `tables.py`."""

from sqlalchemy import Column, ForeignKeyConstraint, Index, String, Table

from sealserve.registry.tables import metadata

subjects = Table(
    "document_subjects",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("document", String(16), primary_key=True),
    Column("subject", String(32), primary_key=True),  # digest: no word of a document stands here
    ForeignKeyConstraint(["tenant", "document"], ["documents.tenant", "documents.document"]),
    Index(None, "tenant", "subject"),
)
