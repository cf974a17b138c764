"""Compares a new document with the tenant's documents on the same subjects. Pure; runs in the sandbox.

Policy decides what comes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sealserve.scanners.contradictions import Known, contradicted, meaning_words, origin_of, overlap
from sealserve.scanners.repeated_claims import claims_of
from sealserve.scanners.repetition import Told, news_in

LOOKED_AT = 32
"""The newest documents on the same subjects that a new one is compared with."""

MAX_COMPARED_CHARACTERS = 4 * 2**20
"""Of all those documents together, the newest first: what can be compared in a few seconds."""

ALIKE = 0.5
"""From this share of common words on, two documents of one origin may say the same: all of a series do. Whether they
repeat each other is told by what is new in the later one (`scanners/repetition.py`)."""

UPDATES = 8
"""Documents of one origin that may differ from each other in a number or so, as updates of one page do. More are a
flood."""

TABLES = 24
"""The same for tables: two years of a monthly price list in which a price or two have changed each time."""


CLAIMS = 3
"""Earlier documents of one origin that keep saying the same of the same, in whatever words: the next one is one too
many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A stored document on the same subject. `is_believed`: its statements count as evidence; `is_released`: a person
    has read it, and what repeats it is no flood.
    """

    document: str
    source: str
    is_believed: bool
    text: str
    title: str = ""
    is_released: bool = False

    @property
    def said(self) -> str:
        """All that it says."""
        return f"{self.title}\n\n{self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison found. `similar`: documents of the same origin that say the same already, newest first.

    `contradicted` counts the other origins that agree on what this document denies.
    """

    similar: tuple[str, ...] = ()
    contradicted: int = 0


def compare(text: str, *, title: str, source: str, subjects: Sequence[str], earlier: Sequence[Earlier]) -> Comparison:
    """Compare a document that is not stored yet with others."""
    origin = origin_of(source)
    evidence = [Known(origin=origin_of(other.source), text=other.text) for other in earlier if other.is_believed]
    return Comparison(
        similar=_repeated(text, title=title, source=source, earlier=earlier),
        contradicted=contradicted(text, evidence, origin=origin, subjects=subjects),
    )


def _repeated(text: str, *, title: str, source: str, earlier: Sequence[Earlier]) -> tuple[str, ...]:
    """Return the documents of the same origin that say all of `text` already, each or together with its title.

    Those that say nearly all of it count, too, once there are UPDATES of them, or TABLES, and so do those that keep
    saying the same of the same in other words, once there are CLAIMS. Cells of a table and numbers of a report recur:
    that all earlier ones together have them says nothing.
    """
    origin, words, claims = origin_of(source), meaning_words(text), claims_of(text)
    own = [other for other in earlier if _may_repeat(other, source=source, origin=origin)]
    claiming = tuple(other.document for other in own if claims & claims_of(other.text)) if claims else ()
    if len(claiming) >= CLAIMS:
        return claiming
    alike = [other for other in own if overlap(words, meaning_words(other.text)) >= ALIKE]
    found = [(other.document, news_in(text, title=title, earlier=Told(other.said))) for other in alike]
    near = [document for document, news in found if news.is_none or news.is_slight]
    together = news_in(text, title=title, earlier=Told(*(other.said for other in alike)))
    if together.is_none and not together.has_title and not together.is_data:
        return tuple(other.document for other in alike)
    most = TABLES if together.is_data else UPDATES
    return tuple(near if len(near) >= most else [document for document, news in found if news.is_none])


def _may_repeat(other: Earlier, *, source: str, origin: str) -> bool:
    """A file or page that is submitted again under its own name is a correction, not a repetition."""
    is_own_page = other.source == source != origin
    return origin_of(other.source) == origin and not is_own_page and not other.is_released
