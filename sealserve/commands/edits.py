"""What a cycle wrote for itself: every self-edit with its fate, and what changed since the document's last study.

Pure: records in, JSON values or renderables out. Knows no command and no wire.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from sealserve.commands.show import pairs, plain, printable, table
from sealserve.records import Json, SelfEdit
from sealserve.studies import EarlierStudy
from sealserve.views import CandidateReport, CycleReport, ShortTrialReport

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


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


def edit_json(edit: SelfEdit, report: CycleReport) -> Json:
    """Return `edit` with the candidates that were trained on it."""
    return {**plain(edit), "candidates": _users(edit, report.candidates)}


def render(report: CycleReport, trials: Trials) -> Iterator[RenderableType]:
    """Return the trials: how candidates and recipes were trained, what was dropped, every self-edit, every change."""
    for candidate in report.candidates:
        yield from _recipe(candidate)
    for trial in report.short_trials:
        yield from _short(trial)
    for place, directive in enumerate(report.directives):
        yield Text(f"\ndirective {place}: {printable(directive.note) or 'not used yet'}", style="bold")
        yield Text(printable(directive.text))
    if report.screening is not None:
        yield ""
        yield _screening(report)
        yield from _superseded(report)
    for edit in trials.edits:
        yield from _edit(edit, report)
    for change in trials.changes:
        yield from _diff(change)


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


def _users(edit: SelfEdit, candidates: Sequence[CandidateReport]) -> list[int]:
    return [candidate.index for candidate in candidates if edit.self_edit in candidate.self_edits]


def _recipe(candidate: CandidateReport) -> Iterator[RenderableType]:
    yield Text(f"\ncandidate {candidate.index}{', the winner' if candidate.winner else ''}", style="bold")
    interval = "" if candidate.rank_low is None else f" [{candidate.rank_low:+.3f}, {candidate.rank_high:+.3f}]"
    score = candidate.unranked if candidate.rank_score is None else f"{candidate.rank_score:+.3f}{interval}"
    yield pairs([
        ("recipe", ", ".join(f"{name} {_value(value)}" for name, value in candidate.recipe.items())),
        ("losses", ", ".join(f"{loss:.3f}" for loss in candidate.losses)),
        ("rank score", score), ("self-edits", len(candidate.self_edits)),
        ("drift from the base", candidate.drift), ("weight change", candidate.weight_change),
    ])  # fmt: skip


def _short(trial: ShortTrialReport) -> Iterator[RenderableType]:
    yield Text(f"\nrecipe {trial.index}, {trial.steps} steps", style="bold")
    yield pairs([
        ("recipe", ", ".join(f"{name} {_value(value)}" for name, value in trial.recipe.items())),
        ("losses", ", ".join(f"{loss:.3f}" for loss in trial.losses)),
        ("log p of the answers", "not measured" if trial.score is None else f"{trial.score:+.2f}"),
    ])  # fmt: skip


def _value(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _screening(report: CycleReport) -> RenderableType:
    found = report.screening
    assert found is not None
    dropped = sorted(found.reasons.items(), key=lambda item: -item[1])
    rows: list[tuple[str, object]] = [("admitted", found.admitted), *((f"dropped: {why}", n) for why, n in dropped)]
    if found.distinct is not None:
        rows.append(("distinct pairs of words", found.distinct))
    return table(["self-edits", "how many"], rows, empty="")


def _superseded(report: CycleReport) -> Iterator[RenderableType]:
    for one in report.screening.superseded if report.screening else ():
        told = f"{one.question} {one.old_answer} (of {one.document}) is now {one.new_answer}"
        yield Text(f"superseded: {printable(told)}")


def _edit(edit: SelfEdit, report: CycleReport) -> Iterator[RenderableType]:
    users = _users(edit, report.candidates)
    kept = f"kept, candidates {', '.join(map(str, users))}" if users else "kept"
    fate = kept if edit.admitted else f"dropped: {edit.reason}"
    head = f"\n{edit.self_edit}  {edit.template.value} of {edit.document}, seed {edit.seed}  {fate}"
    yield Text(printable(head), style="bold")
    yield Text(printable(edit.text))


def _diff(change: Change) -> Iterator[RenderableType]:
    yield Text(
        f"\n{change.document} against {change.earlier_document} in {change.earlier_cycle}: "
        f"{change.same} notes the same, {change.added} new, {change.removed} gone",
        style="bold",
    )
    for line in change.lines:
        yield Text(printable(line), style=_STYLES.get(line[:1], ""))
