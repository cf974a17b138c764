"""What the filter keeps from training because of whom it comes from or what it holds. Pure; policy has the numbers.

Grounding and duplicates are checked in `filter.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sealserve.grading.answers import is_right
from sealserve.learning.study.filter import Drop
from sealserve.records.cycles import SelfEdit
from sealserve.records.step_outputs import Contested, Proposal, Superseded
from sealserve.scanners.contradictions import origin_of
from sealserve.scanners.findings import Finding, findings_in


def settle(
    found: Sequence[Superseded], sources: Mapping[str, str], *, agreeing: int
) -> tuple[tuple[Superseded, ...], tuple[Contested, ...]]:
    """Return what is superseded, and the documents that may supersede nothing: alone against `agreeing` origins.

    `sources` gives every document's source. A document whose own origin said the same before corrects it, however
    many repeated it.
    """
    contested = {}
    for newer in dict.fromkeys(one.newer for one in found):
        mine = [one for one in found if one.newer == newer]
        most = max(len(_against(one, mine, sources)) for one in mine)
        if most >= agreeing:
            contested[newer] = Contested(document=newer, origins=most)
    return tuple(one for one in found if one.newer not in contested), tuple(contested.values())


def guard(
    notes: Sequence[SelfEdit], *, refused: Iterable[Finding], contested: Iterable[Contested]
) -> tuple[SelfEdit, ...]:
    """Return the notes, those dropped that hold findings of `refused` kinds or are of a contested document."""
    kinds, stopped = tuple(refused), {one.document for one in contested}
    return tuple(_guarded(note, kinds=kinds, stopped=stopped) if note.admitted else note for note in notes)


def uncontested(proposals: Iterable[Proposal], contested: Iterable[Contested]) -> tuple[Proposal, ...]:
    """Return the proposals of documents that are not contested."""
    stopped = {one.document for one in contested}
    return tuple(one for one in proposals if one.document not in stopped)


def without(text: str, refused: Iterable[Finding]) -> str:
    """Return `text` without the lines that hold findings of `refused` kinds; unchanged if there are none."""
    kinds = tuple(refused)
    if not _holds(text, kinds):
        return text
    return "\n".join(line for line in text.split("\n") if not _holds(line, kinds)).strip()


def _against(one: Superseded, found: Sequence[Superseded], sources: Mapping[str, str]) -> set[str]:
    """The origins that agree on the old answer; none if the newer document's own origin is among them."""
    by_origin: dict[str, list[Superseded]] = defaultdict(list)
    for other in found:
        by_origin[origin_of(sources.get(other.document, ""))].append(other)
    agreeing = {
        origin
        for origin, said in by_origin.items()
        if any(
            is_right(other.old_answer, one.old_answer) or is_right(one.old_answer, other.old_answer) for other in said
        )
    }
    return set() if origin_of(sources.get(one.newer, "")) in agreeing else agreeing


def _guarded(note: SelfEdit, *, kinds: Sequence[Finding], stopped: set[str]) -> SelfEdit:
    if note.document in stopped:
        return replace(note, admitted=False, reason=Drop.CONTESTED)
    return replace(note, admitted=False, reason=Drop.FINDING) if _holds(note.text, kinds) else note


def _holds(text: str, kinds: Sequence[Finding]) -> bool:
    found = findings_in(text)
    return any(found[kind] for kind in kinds)
