"""What a cycle wrote for itself, and what changed since its documents were studied before. Pure: records in and out."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sealserve.records.cycles import EarlierStudy, SelfEdit
from sealserve.records.reports import CandidateReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How the admitted self-edits of a document differ from those of its earlier study."""

    document: str
    earlier_document: str
    earlier_cycle: str
    same: int
    added: int
    removed: int
    lines: tuple[str, ...]  # a unified diff, the same words in both first


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """All that a cycle wrote for itself, and what changed."""

    edits: tuple[SelfEdit, ...]
    changes: tuple[Change, ...]


def changes(
    studies: Sequence[EarlierStudy], edits: Sequence[SelfEdit], earlier: Sequence[SelfEdit]
) -> tuple[Change, ...]:
    """Return one change for each of `studies`; `earlier` holds the self-edits of all the cycles that they name."""
    return tuple(
        _change(
            study,
            before=_admitted(earlier, study.earlier_document, cycle=study.cycle),
            after=[text for cycle in _cycles(edits) for text in _admitted(edits, study.document, cycle=cycle)],
        )
        for study in studies
    )


def users(edit: SelfEdit, candidates: Sequence[CandidateReport]) -> list[int]:
    """Return the candidates that were trained on `edit`."""
    return [candidate.index for candidate in candidates if edit.self_edit in candidate.self_edits]


def _change(study: EarlierStudy, *, before: list[str], after: list[str]) -> Change:
    lines = list(
        difflib.unified_diff(
            sorted(before),
            sorted(after),
            f"{study.earlier_document} in {study.cycle}",
            f"{study.document} now",
            lineterm="",
            n=0,
        )
    )
    same = sum((Counter(before) & Counter(after)).values())
    return Change(
        document=study.document,
        earlier_document=study.earlier_document,
        earlier_cycle=study.cycle,
        same=same,
        added=len(after) - same,
        removed=len(before) - same,
        lines=tuple(lines),
    )


def _admitted(edits: Sequence[SelfEdit], document: str, *, cycle: str) -> list[str]:
    """One line a note, so that a diff says which notes came and went."""
    return [
        f"{edit.template.value}: {' / '.join(edit.text.splitlines())}"
        for edit in edits
        if edit.admitted and edit.document == document and edit.cycle == cycle
    ]


def _cycles(edits: Sequence[SelfEdit]) -> list[str]:
    return list(dict.fromkeys(edit.cycle for edit in edits))
