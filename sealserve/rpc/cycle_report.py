"""A cycle as a whole, put together from its journal: what each step left, read by the names it has in JSON.

Blocking. Knows the shape of three steps' outputs (rank, confirm, judge) and nothing of how they came about.
"""

from dataclasses import asdict

from sealserve.gate.scores import scorecard_from_json, verdict_from_json
from sealserve.records import Candidate, Cycle, Json, Step
from sealserve.registry.registry import Registry
from sealserve.views import CandidateReport, CycleReport, FinishedStep


def cycle_report(registry: Registry, cycle: Cycle) -> CycleReport:
    """Return all that is known of `cycle` now. Raises: NotFound, StorageFailed."""
    steps = registry.steps(cycle.cycle)
    outputs = {record.step: record.output for record in steps}
    ranked = outputs.get(Step.RANK, {})
    scorecard = outputs.get(Step.CONFIRM, {}).get("scorecard")
    verdict = outputs.get(Step.JUDGE, {}).get("verdict")
    return CycleReport(
        cycle=cycle,
        documents=tuple(document.document for document in registry.cycle_documents(cycle.cycle)),
        steps=tuple(
            FinishedStep(step=record.step, seconds=record.seconds, finished_at=record.finished_at) for record in steps
        ),
        candidates=tuple(_candidate(candidate, ranked) for candidate in registry.candidates(cycle.cycle)),
        scores=scorecard_from_json(scorecard) if scorecard else None,
        verdict=verdict_from_json(verdict) if verdict else None,
    )


def _candidate(candidate: Candidate, ranked: Json) -> CandidateReport:
    scores = {score["index"]: score["rank_score"] for score in ranked.get("scores", ())}
    recipe = asdict(candidate.recipe)
    return CandidateReport(
        index=candidate.index,
        recipe={**recipe, "templates": list(recipe["templates"])},
        artifact=candidate.artifact,
        final_loss=candidate.final_loss,
        seconds=candidate.seconds,
        rank_score=scores.get(candidate.index),
        winner=candidate.index == ranked.get("winner"),
    )
