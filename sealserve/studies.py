"""What is known of a document's earlier studies: a record beside those of `records.py`. Frozen, plain."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierStudy:
    """Where a document, or an earlier one of the same title, was studied before."""

    document: str
    earlier_document: str  # the same, or its namesake
    cycle: str
