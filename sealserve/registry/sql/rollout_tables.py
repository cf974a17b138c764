"""The tables of traffic and of the watch after a promotion. No queries; they belong to `tables.py`'s metadata."""

from sqlalchemy import BigInteger, Column, Float, ForeignKeyConstraint, Index, Integer, String, Table, text

from sealserve.registry.sql.tables import GeneratedText, UtcTime, metadata

_OPEN = text("state = 'open'")

traffic = Table(  # holds while its activation is the tenant's present one
    "traffic",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("activation", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),  # the one beside the active version; 0: the base model
    Column("share", Float, nullable=False),  # of new requests that it is given
    ForeignKeyConstraint(["tenant", "activation"], ["activations.tenant", "activations.activation"]),
)

watches = Table(
    "watches",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("activation", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("incumbent", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("stage", Integer),  # null: a person has set the traffic
    Column("trigger", String(16), nullable=False),  # "" unless it rolled back
    Column("reason", GeneratedText, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("staged_at", UtcTime, nullable=False),
    Column("decided_at", UtcTime),
    ForeignKeyConstraint(["tenant", "activation"], ["activations.tenant", "activations.activation"]),
    Index("uq_watches_one_open_per_tenant", "tenant", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
)

watch_counts = Table(
    "watch_counts",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("activation", Integer, primary_key=True, autoincrement=False),
    Column("replica", String(255), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant", "activation"], ["watches.tenant", "watches.activation"]),
)
