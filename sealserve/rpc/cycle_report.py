"""A cycle as a whole, put together from its journal: what each step left, read by the names it has in JSON.

Blocking. Knows the shape of the steps' outputs and nothing of how they came about. What a step's output lacks,
because an earlier release wrote it, is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from sealserve.canonical import Json
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import Cycle, Step
from sealserve.records.policy_decisions import PolicyDecision, RuleEffect
from sealserve.records.reports import (
    AnswerPair,
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
from sealserve.records.score_json import scorecard_from_json, verdict_from_json
from sealserve.registry.registry import Registry

RELIABILITY = ("item_error", "between_candidates", "between_seeds", "over_items", "over_seeds")


def cycle_report(registry: Registry, cycle: Cycle) -> CycleReport:
    """Return all that is known of `cycle` now. Raises: NotFound, StorageFailed."""
    steps = registry.cycles.steps(cycle.cycle)
    outputs = {record.step: record.output for record in steps}
    ranked = outputs.get(Step.RANK, {})
    scorecard = outputs.get(Step.CONFIRM, {}).get("scorecard")
    verdict = outputs.get(Step.JUDGE, {}).get("verdict")
    return CycleReport(
        cycle=cycle,
        documents=tuple(document.document for document in registry.cycles.documents(cycle.cycle)),
        steps=tuple(
            FinishedStep(step=record.step, seconds=record.seconds, finished_at=record.finished_at) for record in steps
        ),
        candidates=tuple(
            _candidate(candidate, outputs.get(Step.TRAIN, {}), ranked)
            for candidate in registry.cycles.candidates(cycle.cycle)
        ),
        scores=scorecard_from_json(scorecard) if scorecard else None,
        verdict=verdict_from_json(verdict) if verdict else None,
        screening=_screening(outputs[Step.FILTER]) if outputs.get(Step.FILTER) else None,
        directives=_directives(outputs),
        earlier_studies=registry.history.earlier_studies(cycle.cycle),
        ranking=_ranking(ranked) if ranked.get("reward") else None,
        remarks=tuple(outputs.get(Step.TRAIN, {}).get("remarks", ())),
        short_trials=tuple(ShortTrialReport(**one) for one in outputs.get(Step.TRAIN, {}).get("short_trials", ())),
        trained_tokens=outputs.get(Step.TRAIN, {}).get("tokens", 0),
        answers=tuple(AnswerPair(**one) for one in outputs.get(Step.CONFIRM, {}).get("shown", ())),
        rules=tuple(_rules(registry.policy_decisions.page(tenant=cycle.tenant, subject=cycle.cycle))),
    )


def _rules(rulings: Iterable[PolicyDecision]) -> Iterator[AppliedRule]:
    """Those that spoke, in the order they were asked; `rulings` come newest first."""
    for ruling in reversed(tuple(rulings)):
        for one in ruling.results:
            if one.effect is not RuleEffect.ALLOW:
                yield AppliedRule(
                    rule=one.rule,
                    effect=one.effect,
                    reason=f"{one.reason} ({one.error})" if one.error else one.reason,
                    event=ruling.event,
                    bundle=ruling.bundle,
                    decision=ruling.ruling,
                )


def _candidate(candidate: Candidate, trained: Json, ranked: Json) -> CandidateReport:
    scores = {score["index"]: score for score in ranked.get("scores", ())}
    score = scores.get(candidate.index, {})
    trials = {trial["index"]: trial for trial in trained.get("trials", ())}
    trial = trials.get(candidate.index, {})
    recipe = asdict(candidate.recipe)
    return CandidateReport(
        index=candidate.index,
        recipe={**recipe, "templates": list(recipe["templates"])},
        artifact=candidate.artifact,
        final_loss=candidate.final_loss,
        seconds=candidate.seconds,
        rank_score=score.get("rank_score"),
        winner=candidate.index == ranked.get("winner"),
        losses=tuple(trial.get("losses", ())),
        self_edits=tuple(trial.get("self_edits", ())),
        rank_low=score.get("low"),
        rank_high=score.get("high"),
        unranked=score.get("why", ""),
        drift=trial.get("drift"),
        weight_change=trial.get("weight_change"),
    )


def _ranking(ranked: Json) -> Ranking:
    known = ranked.get("reliability") or {}
    return Ranking(
        reward=ranked["reward"],
        note=ranked["note"],
        stands_out=ranked["stands_out"],
        items=known.get("items", 0),
        seeds=known.get("seeds", 0),
        **{name: known.get(name) for name in RELIABILITY},
    )


def _screening(filtered: Json) -> Screening:
    return Screening(
        admitted=filtered["admitted"],
        dropped=filtered["dropped"],
        reasons=filtered["reasons"],
        distinct=filtered.get("distinct"),
        superseded=tuple(
            Contradiction(
                document=one["document"],
                question=one["question"],
                old_answer=one["old_answer"],
                new_answer=one["new_answer"],
            )
            for one in filtered.get("superseded", ())
        ),
    )


def _directives(outputs: Mapping[Step, Json]) -> tuple[Directive, ...]:
    """Directives are there once written; what became of them is known once candidates are trained."""
    written = outputs.get(Step.WRITE, {}).get("directives", ())
    notes = outputs.get(Step.TRAIN, {}).get("directives", ())
    return tuple(
        Directive(text=text, note=notes[place] if place < len(notes) else "") for place, text in enumerate(written)
    )
