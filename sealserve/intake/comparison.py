"""Compares a new document with the tenant's documents on the same subjects. Pure; runs in the sandbox.

Policy decides what comes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sealserve.scanners.contradictions import Known, contradicted, meaning_words, origin_of, overlap

LOOKED_AT = 32
"""The newest documents on the same subjects that a new one is compared with."""

MAX_COMPARED_CHARACTERS = 4 * 2**20
"""Of all those documents together, the newest first: what can be compared in a few seconds."""

ALIKE = 0.5
"""From this share of common words on, two documents of one origin on one subject count as the same one again. Articles
of one kind on different subjects are never compared; an article and its update share about that much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A stored document on the same subject. `is_believed`: its statements count as evidence."""

    document: str
    source: str
    is_believed: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison found. `similar`: documents of the same origin that repeat its statements, newest first.

    `contradicted` counts the other origins that agree on what this document denies.
    """

    similar: tuple[str, ...] = ()
    contradicted: int = 0


def compare(text: str, *, source: str, subjects: Sequence[str], earlier: Sequence[Earlier]) -> Comparison:
    """Compare a document that is not stored yet with others."""
    origin, words = origin_of(source), meaning_words(text)
    evidence = [Known(origin=origin_of(other.source), text=other.text) for other in earlier if other.is_believed]
    return Comparison(
        similar=tuple(
            other.document
            for other in earlier
            if _may_repeat(other, source=source, origin=origin) and overlap(words, meaning_words(other.text)) >= ALIKE
        ),
        contradicted=contradicted(text, evidence, origin=origin, subjects=subjects),
    )


def _may_repeat(other: Earlier, *, source: str, origin: str) -> bool:
    """A file or page that is submitted again under its own name is a correction, not a repetition."""
    is_own_page = other.source == source != origin
    return origin_of(other.source) == origin and not is_own_page
