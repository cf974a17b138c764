"""The self-edits of a cycle for the terminal: each with its filter result, and the changes since the last cycle."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from sealserve.canonical import Json
from sealserve.cli.output import pairs, plain, printable, table
from sealserve.records.cycles import SelfEdit
from sealserve.records.reports import CandidateReport, CycleReport, ShortTrialReport
from sealserve.records.self_edit_diff import Change, Trials, users
from sealserve.records.step_outputs import Overridden

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def edit_json(edit: SelfEdit, report: CycleReport) -> Json:
    """Return `edit` with the candidates that were trained on it."""
    return {**plain(edit), "candidates": users(edit, report.candidates)}


def render(report: CycleReport, trials: Trials) -> Iterator[RenderableType]:
    """Return the candidates' training, the short trials, the filter's counts, all self-edits and all changes."""
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
        rows.append(("distinct word pairs", found.distinct))
    return table(["self-edits", "count"], rows, empty="")


def _superseded(report: CycleReport) -> Iterator[RenderableType]:
    for one in report.screening.superseded if report.screening else ():
        text = f"{one.question} {one.old_answer} (of {one.document}) is now {one.new_answer}"
        yield Text(f"superseded: {printable(text)}")
    for old in report.screening.overridden if report.screening else ():
        text = f"{old.question} {old.old_answer} (of the base model) is now {old.new_answer} (of {old.newer})"
        yield Text(f"overridden: {printable(text)}{printable(_excused(old))}")


def _excused(old: Overridden) -> str:
    return f"; not counted: {', '.join(old.items)}" if old.items else "; only rehearsed until now"


def _edit(edit: SelfEdit, report: CycleReport) -> Iterator[RenderableType]:
    trained = users(edit, report.candidates)
    admitted = f"admitted, candidates {', '.join(map(str, trained))}" if trained else "admitted"
    fate = admitted if edit.admitted else f"dropped: {edit.reason}"
    head = f"\n{edit.self_edit}  {edit.template.value} of {edit.document}, seed {edit.seed}  {fate}"
    yield Text(printable(head), style="bold")
    yield Text(printable(edit.text))


def _diff(change: Change) -> Iterator[RenderableType]:
    yield Text(
        f"\n{change.document} against {change.earlier_document} in {change.earlier_cycle}: "
        f"{change.same} self-edits unchanged, {change.added} added, {change.removed} removed",
        style="bold",
    )
    for line in change.lines:
        yield Text(printable(line), style=_STYLES.get(line[:1], ""))
