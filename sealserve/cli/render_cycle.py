"""Cycles, versions and replicas as tables for the terminal."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from sealserve.cli.output import cell, pairs, printable, table, version_name
from sealserve.records.reports import AdapterReport, CycleReport, Ranking
from sealserve.records.scores import Measured, NotApplicable, Score, Scorecard, Unmeasured
from sealserve.records.versions import AdapterVersion


def cycle(report: CycleReport, trials: Iterable[RenderableType]) -> RenderableType:
    """Return a cycle: its steps, candidates, scores and verdict, then `trials`."""
    one = report.cycle
    parts: list[RenderableType] = [
        pairs([
            ("cycle", one.cycle), ("tenant", one.tenant), ("state", one.state), ("reason", one.reason),
            ("version", version_name(one.version) if one.version else ""), ("documents", report.documents),
            ("started by", one.trigger), ("started", one.created_at), ("claims", one.attempts),
        ])
    ]  # fmt: skip
    if report.steps:
        rows = ((step.step, f"{step.seconds:.1f}", step.finished_at) for step in report.steps)
        parts += ["", table(["step", "seconds", "done"], rows, empty="")]
    if report.candidates:
        parts += ["", _candidates(report), *_cost(report)]
    if report.ranking:
        parts += ["", pairs(_ranking(report, report.ranking))]
    parts += [Text(printable(remark)) for remark in report.remarks]
    if report.scores:
        columns = ["score", "n", "candidate", "incumbent", "gain", "interval"]
        parts += ["", table(columns, _scores(report.scores), empty="")]
    if report.verdict:
        parts += ["", *_verdict(report.verdict.decision.value, report.verdict.reasons)]
    return Group(*parts, *trials)


def answers(report: CycleReport) -> RenderableType:
    """Return the sampled answers side by side, marked right or wrong."""
    rows = (
        (one.question, one.expected, _marked(one.before, one.was_right), _marked(one.after, one.is_right))
        for one in report.answers
    )
    return table(["question", "expected", "before", "after"], rows, empty="no answers were recorded")


def _marked(text: str, is_right: bool) -> str:
    return f"{'✓' if is_right else '✗'} {text}"


def adapter(version: AdapterVersion) -> RenderableType:
    """Return a version with its lineage."""
    own = [
        ("version", version_name(version.version)), ("tenant", version.tenant), ("state", version.state),
        ("reason", version.reason), ("cycle", version.cycle),
        ("measured against", version_name(version.parent)), ("documents", version.documents),
        ("artifact", version.artifact), ("engine name", version.engine_name), ("published", version.created_at),
    ]  # fmt: skip
    lineage = version.lineage.to_json()
    return pairs([*own, *((name.replace("_", " "), _lines(value)) for name, value in lineage.items())])


def report(state: AdapterReport) -> RenderableType:
    """Return the desired version, and the version each replica serves."""
    head = Text(f"{state.tenant}: desired version {version_name(state.desired)} (activation {state.activation})")
    rows = (
        (one.replica, version_name(one.version), "up to date" if one.activation >= state.activation else "behind")
        for one in state.observed
    )
    return Group(head, table(["replica", "serves", ""], rows, empty="no replica has reported yet"))


def _candidates(report: CycleReport) -> RenderableType:
    rows = (
        (
            one.index, "winner" if one.winner else "",
            "" if one.rank_score is None else one.rank_score, one.final_loss,
            "" if one.drift is None else one.drift, "" if one.weight_change is None else one.weight_change,
            f"{one.seconds:.1f}",
        )
        for one in report.candidates
    )  # fmt: skip
    columns = ["candidate", "", "rank score", "final loss", "drift", "weight change", "seconds"]
    return table(columns, rows, empty="")


def _cost(report: CycleReport) -> Iterator[Text]:
    if report.device_seconds is None:
        return
    tokens = f" on {report.trained_tokens:,} tokens" if report.trained_tokens else ""
    point = "" if report.seconds_per_point is None else f", {report.seconds_per_point:.2f} s per confirmed point"
    yield Text(f"training took {report.device_seconds:.0f} device-seconds{tokens}{point}")


def _ranking(report: CycleReport, ranking: Ranking) -> Iterator[tuple[str, str]]:
    yield "ranked by", ranking.reward
    yield "ranking", printable(ranking.note)
    if ranking.item_error is not None:
        yield "standard error", f"{ranking.item_error:.3f} over {ranking.items} questions"
    for name, share in (("over questions", ranking.over_items), ("over seeds", ranking.over_seeds)):
        if share is not None:
            yield f"reliability {name}", f"{share:.2f}"
    if ranking.between_seeds is not None:
        known = "unknown" if ranking.between_candidates is None else f"{ranking.between_candidates:.4f}"
        yield "variance", f"{known} between recipes, {ranking.between_seeds:.4f} between {ranking.seeds} seeds"
    if report.measuring_share is not None:
        yield "time spent measuring", f"{report.measuring_share:.0%} (ranking and confirming)"


def _scores(scores: Scorecard) -> Iterator[tuple[str, ...]]:
    own: dict[str, Score | NotApplicable] = {
        "confirm": scores.confirm,
        "replay": scores.replay,
        "canary": scores.canary,
        "unknown": scores.unknown,
    }
    for name, score in (own | dict(scores.suites)).items():
        if isinstance(score, Measured):
            interval = f"{score.gain_low:+.3f} … {score.gain_high:+.3f}"
            items = f"{score.n} ({score.facts} facts)" if score.facts else cell(score.n)
            items += f" ({score.excused} overridden)" if score.excused else ""
            shown = (items, cell(score.candidate), cell(score.incumbent), f"{score.gain:+.3f}", interval)
        else:
            why = f"not measured: {score.why}" if isinstance(score, Unmeasured) else f"not applicable: {score.because}"
            shown = ("", "", "", "", why)
        yield (name, *shown)
    if scores.open_book is not None:
        told = f"the base answers {scores.open_book:.3f} of confirm with the passage at hand"
        yield ("open book", "", "", "", "", told)


def _verdict(decision: str, reasons: tuple[str, ...]) -> Iterator[Text]:
    yield Text(f"verdict: {decision}", style="bold green" if decision == "promote" else "bold yellow")
    for reason in reasons:
        yield Text(f"  {printable(reason)}")


def _lines(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_lines(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_lines, value))
    return cell(value)
