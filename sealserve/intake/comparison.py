"""Compares a new document with the tenant's documents: findings in it, similar documents, and contradicted sources.

Policy decides what comes of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sealserve.records.documents import Document, DocumentState
from sealserve.registry.registry import Registry
from sealserve.scanners.contradictions import Known, contradicted, origin_of, resemblance, subjects_of
from sealserve.scanners.findings import Finding, findings_in

LOOKED_AT = 32
"""The newest documents on the same subjects that a new one is compared with."""

ALIKE = 0.5
"""From this share of common words on, two documents of one origin on one subject count as the same one again. Articles
of one kind on different subjects are never compared; an article and its update share about that much."""

_BELIEVED = frozenset({DocumentState.ADMITTED, DocumentState.LEARNING, DocumentState.LEARNED, DocumentState.SET_ASIDE})
"""States whose documents count as evidence; SET_ASIDE ones were not learned, but their statements still count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What a comparison found. `similar`: documents of the same origin that repeat its statements, newest first.

    `contradicted` counts the other origins that agree on what this document denies.
    """

    findings: Mapping[Finding, int]
    subjects: tuple[str, ...]
    similar: tuple[str, ...]
    contradicted: int


def inspect(registry: Registry, tenant: str, *, title: str, text: str, source: str, hidden: int) -> Inspected:
    """Compare a document that is not stored yet; `hidden` counts what was removed from it."""
    subjects = subjects_of(title, text)
    earlier = [
        (document, registry.documents.text(tenant, document.document))
        for document in registry.subjects.documents_about(tenant, subjects, last=LOOKED_AT)
    ]
    others = [(document, other) for document, other in earlier if other != text]
    origin = origin_of(source)
    evidence = [
        Known(origin=origin_of(document.source), text=other)
        for document, other in others
        if document.state in _BELIEVED
    ]
    whole = f"{title}\n{text}"
    return Inspected(
        findings={**findings_in(whole), Finding.HIDDEN: hidden},
        subjects=subjects,
        similar=tuple(
            document.document
            for document, other in others
            if _is_repetition(document, other, text=text, source=source, origin=origin)
        ),
        contradicted=contradicted(text, evidence, origin=origin, subjects=subjects),
    )


def _is_repetition(document: Document, other: str, *, text: str, source: str, origin: str) -> bool:
    """A file or page that is submitted again under its own name is a correction, not a repetition."""
    is_own_page = document.source == source != origin
    return origin_of(document.source) == origin and not is_own_page and resemblance(text, other) >= ALIKE
