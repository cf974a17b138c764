"""Builds the report on a whole cycle from its journal. Blocking."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TypeVar

from sealserve.canonical import Json
from sealserve.records.candidates import Candidate, Recipe
from sealserve.records.cycles import Cycle, Step, StepRecord
from sealserve.records.policy_decisions import PolicyDecision, RuleEffect
from sealserve.records.reports import (
    AppliedRule,
    CandidateReport,
    Contradiction,
    CycleReport,
    Directive,
    FinishedStep,
    Ranking,
    Screening,
    ShortTrialReport,
)
from sealserve.records.step_outputs import (
    Claimed,
    Confirmed,
    Filtered,
    Judged,
    Ranked,
    ShortTrial,
    Trained,
    Written,
    from_json,
)
from sealserve.registry.registry import Registry

T = TypeVar("T")


def cycle_report(registry: Registry, cycle: Cycle) -> CycleReport:
    """Return everything known about `cycle` now. Raises: NotFound, StorageFailed."""
    steps = registry.cycles.steps(cycle.cycle)
    claimed = _output(steps, Step.CLAIM, Claimed)
    written = _output(steps, Step.WRITE, Written)
    filtered = _output(steps, Step.FILTER, Filtered)
    trained = _output(steps, Step.TRAIN, Trained)
    ranked = _output(steps, Step.RANK, Ranked)
    confirmed = _output(steps, Step.CONFIRM, Confirmed)
    judged = _output(steps, Step.JUDGE, Judged)
    return CycleReport(
        cycle=cycle,
        documents=tuple(document.document for document in registry.cycles.documents(cycle.cycle)),
        steps=tuple(
            FinishedStep(step=record.step, seconds=record.seconds, finished_at=record.finished_at) for record in steps
        ),
        candidates=tuple(
            _candidate(candidate, trained, ranked) for candidate in registry.cycles.candidates(cycle.cycle)
        ),
        scores=confirmed.scorecard if confirmed else None,
        verdict=judged.verdict if judged else None,
        screening=_screening(filtered) if filtered else None,
        directives=tuple(_directives(written, trained)),
        earlier_studies=registry.history.earlier_studies(cycle.cycle),
        ranking=_ranking(ranked) if ranked else None,
        remarks=(*(claimed.remarks if claimed else ()), *(trained.remarks if trained else ())),
        short_trials=tuple(map(_short_trial, trained.short_trials)) if trained else (),
        trained_tokens=trained.tokens if trained else 0,
        answers=confirmed.shown if confirmed else (),
        rules=tuple(_rules(registry.policy_decisions.page(tenant=cycle.tenant, subject=cycle.cycle))),
    )


def _output(steps: Iterable[StepRecord], step: Step, kind: type[T]) -> T | None:
    return next((from_json(kind, record.output) for record in steps if record.step is step), None)


def _rules(rulings: Iterable[PolicyDecision]) -> Iterator[AppliedRule]:
    """Return the rules that deny, hold or warn, in the order of the decisions; `rulings` come newest first."""
    for ruling in reversed(tuple(rulings)):
        for result in ruling.results:
            if result.effect is not RuleEffect.ALLOW:
                yield AppliedRule(
                    rule=result.rule,
                    effect=result.effect,
                    reason=f"{result.reason} ({result.error})" if result.error else result.reason,
                    event=ruling.event,
                    bundle=ruling.bundle,
                    decision=ruling.ruling,
                )


def _candidate(candidate: Candidate, trained: Trained | None, ranked: Ranked | None) -> CandidateReport:
    trial = next((trial for trial in trained.trials if trial.index == candidate.index), None) if trained else None
    score = next((score for score in ranked.scores if score.index == candidate.index), None) if ranked else None
    return CandidateReport(
        index=candidate.index,
        recipe=_recipe(candidate.recipe),
        artifact=candidate.artifact,
        final_loss=candidate.final_loss,
        seconds=candidate.seconds,
        rank_score=score.rank_score if score else None,
        winner=ranked is not None and candidate.index == ranked.winner,
        losses=trial.losses if trial else (),
        self_edits=trial.self_edits if trial else (),
        rank_low=score.low if score else None,
        rank_high=score.high if score else None,
        unranked=score.why if score else "",
        drift=trial.drift if trial else None,
        weight_change=trial.weight_change if trial else None,
    )


def _short_trial(trial: ShortTrial) -> ShortTrialReport:
    return ShortTrialReport(
        index=trial.index, recipe=_recipe(trial.recipe), steps=trial.steps, losses=trial.losses, score=trial.score
    )


def _recipe(recipe: Recipe) -> Json:
    return {**asdict(recipe), "templates": list(recipe.templates)}


def _ranking(ranked: Ranked) -> Ranking:
    found = ranked.reliability
    return Ranking(
        reward=ranked.reward,
        note=ranked.note,
        stands_out=ranked.stands_out,
        items=found.items if found else 0,
        seeds=found.seeds if found else 0,
        item_error=found.item_error if found else None,
        between_candidates=found.between_candidates if found else None,
        between_seeds=found.between_seeds if found else None,
        over_items=found.over_items if found else None,
        over_seeds=found.over_seeds if found else None,
    )


def _screening(filtered: Filtered) -> Screening:
    return Screening(
        admitted=filtered.admitted,
        dropped=filtered.dropped,
        reasons=filtered.reasons,
        distinct=filtered.distinct,
        superseded=tuple(
            Contradiction(
                document=answer.document,
                question=answer.question,
                old_answer=answer.old_answer,
                new_answer=answer.new_answer,
            )
            for answer in filtered.superseded
        ),
        overridden=filtered.overridden,
    )


def _directives(written: Written | None, trained: Trained | None) -> Iterator[Directive]:
    """Yield the directives; their notes are known once candidates are trained."""
    notes = trained.directives if trained else ()
    for place, text in enumerate(written.directives if written else ()):
        yield Directive(text=text, note=notes[place] if place < len(notes) else "")
