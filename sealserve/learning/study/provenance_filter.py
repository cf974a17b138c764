"""Provenance filter: drops self-edits of contested documents and those that contain secrets, personal data or injected
instructions. Pure; the policy has the numbers. `filter.py` checks grounding and duplicates.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
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
        most = max(len(_find_agreeing_origins(one, mine, sources)) for one in mine)
        if most >= agreeing:
            contested[newer] = Contested(document=newer, origins=most)
    return tuple(one for one in found if one.newer not in contested), tuple(contested.values())


def guard(
    self_edits: Sequence[SelfEdit],
    *,
    refused: Iterable[Finding],
    contested: Iterable[Contested],
    released: Set[str] = frozenset(),
) -> tuple[SelfEdit, ...]:
    """Return the self-edits; those with findings of `refused` kinds or of a contested document are not admitted.

    Of documents that a person `released` findings are learned, as they stand there.
    """
    kinds, stopped = tuple(refused), {one.document for one in contested}
    return tuple(
        _drop_if_refused(self_edit, kinds=() if self_edit.document in released else kinds, stopped=stopped)
        if self_edit.admitted
        else self_edit
        for self_edit in self_edits
    )


def uncontested(proposals: Iterable[Proposal], contested: Iterable[Contested]) -> tuple[Proposal, ...]:
    """Return the proposals of documents that are not contested."""
    stopped = {one.document for one in contested}
    return tuple(one for one in proposals if one.document not in stopped)


def without(text: str, refused: Iterable[Finding]) -> str:
    """Return `text` without the lines that hold findings of `refused` kinds; unchanged if there are none."""
    kinds = tuple(refused)
    if not _has_findings(text, kinds):
        return text
    return "\n".join(line for line in text.split("\n") if not _has_findings(line, kinds)).strip()


def _find_agreeing_origins(one: Superseded, found: Sequence[Superseded], sources: Mapping[str, str]) -> set[str]:
    """Return the origins that agree on the old answer; none if the newer document's own origin is among them."""
    by_origin: dict[str, list[Superseded]] = defaultdict(list)
    for other in found:
        by_origin[origin_of(sources.get(other.document, ""))].append(other)
    agreeing = {
        origin
        for origin, answers in by_origin.items()
        if any(
            is_right(other.old_answer, one.old_answer) or is_right(one.old_answer, other.old_answer)
            for other in answers
        )
    }
    return set() if origin_of(sources.get(one.newer, "")) in agreeing else agreeing


def _drop_if_refused(self_edit: SelfEdit, *, kinds: Sequence[Finding], stopped: set[str]) -> SelfEdit:
    if self_edit.document in stopped:
        return replace(self_edit, admitted=False, reason=Drop.CONTESTED)
    return (
        replace(self_edit, admitted=False, reason=Drop.FINDING) if _has_findings(self_edit.text, kinds) else self_edit
    )


def _has_findings(text: str, kinds: Sequence[Finding]) -> bool:
    found = findings_in(text)
    return any(found[kind] for kind in kinds)
