"""A document held against what the tenant has already: findings in it, those like it, and whom it contradicts.

Decides nothing: policy does. Knows nothing of transports.
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
"""What was not learned because its cycle waits for a person, or failed, still says what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What was seen. `similar`: documents of the same origin that say the same of the same, newest first.

    `contradicted` counts the other origins that agree on what this document denies.
    """

    findings: Mapping[Finding, int]
    subjects: tuple[str, ...]
    similar: tuple[str, ...]
    contradicted: int


def inspect(registry: Registry, tenant: str, *, title: str, text: str, source: str, hidden: int) -> Inspected:
    """Return what is to be seen in a document that is not kept yet; `hidden` is what was taken out of it."""
    subjects = subjects_of(title, text)
    known = [
        (one, registry.documents.text(tenant, one.document))
        for one in registry.subjects.documents_about(tenant, subjects, last=LOOKED_AT)
    ]
    others = [(one, told) for one, told in known if told != text]
    origin = origin_of(source)
    said = [Known(origin=origin_of(one.source), text=told) for one, told in others if one.state in _BELIEVED]
    whole = f"{title}\n{text}"
    return Inspected(
        findings={**findings_in(whole), Finding.HIDDEN: hidden},
        subjects=subjects,
        similar=tuple(
            one.document for one, told in others if _is_same_again(one, told, text=text, source=source, origin=origin)
        ),
        contradicted=contradicted(text, said, origin=origin, subjects=subjects),
    )


def _is_same_again(one: Document, told: str, *, text: str, source: str, origin: str) -> bool:
    """A file or page that is handed in anew under its own name is corrected, not repeated."""
    is_own_page = one.source == source != origin
    return origin_of(one.source) == origin and not is_own_page and resemblance(text, told) >= ALIKE
