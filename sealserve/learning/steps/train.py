"""TRAIN: trains every candidate on the new documents and on what is replayed."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import structlog

from sealserve.concurrency import in_thread
from sealserve.errors import CouldNotMeasure
from sealserve.gate.collapse import collapse
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.journal import Done
from sealserve.learning.steps.retrain import recipe_again
from sealserve.learning.steps.successive_halving import select_finalists
from sealserve.learning.training.cycle_job import Start, job_of, remarks, start_of
from sealserve.learning.training.examples import Pool
from sealserve.learning.training.recipes import recipes
from sealserve.learning.training.replay import earlier_material, pool_of
from sealserve.learning.training.step_budget import regularised, step_growth
from sealserve.learning.training_job import TrainedAdapter, TrainingJob
from sealserve.records.candidates import Candidate, Recipe
from sealserve.records.cycles import Claim, Split
from sealserve.records.step_outputs import (
    Claimed,
    Filtered,
    Trained,
    Trial,
    Written,
)
from sealserve.registry.registry import AddCandidates
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)


async def train(
    context: LearnContext, client: EngineClient, claim: Claim, claimed: Claimed, written: Written, filtered: Filtered
) -> Done[Trained]:
    """TRAIN: every candidate, from the base or the incumbent, on the new documents and on all that still holds.

    Of many, only the best after a short training are trained in full (`successive_halving.py`). With nothing to learn
    from or nothing to measure by, no candidate is trained. Raises: CouldNotMeasure (the self-edits have collapsed).
    """
    digest = context.settings.digest()
    if not filtered.admitted or not filtered.select or not filtered.confirm:
        return Done(output=Trained(candidates=(), directives=(), settings_digest=digest))
    if fault := collapse(filtered.distinct, context.policy.diversity):
        raise CouldNotMeasure(fault)
    async with in_thread(start_of(context, claim, claimed)) as start:
        return await _train(context, client, claim, claimed, written, start=start)


async def _train(
    context: LearnContext,
    client: EngineClient,
    claim: Claim,
    claimed: Claimed,
    written: Written,
    *,
    start: Start | None,
) -> Done[Trained]:
    earlier = await asyncio.to_thread(earlier_material, context, claim, claimed)
    pool = await asyncio.to_thread(pool_of, context, claim, claimed, written, earlier)
    chosen, notes = await _chosen(context, claim, written, pool, start=start)
    job = job_of(context, pool, chosen, base_digest=claimed.base_digest, start=start)
    heard = partial(_LOG.info, LogEvent.TRAINING_PROGRESSED, cycle=claim.cycle)
    items = [
        one for one in await asyncio.to_thread(context.registry.cycles.quiz, claim.cycle) if one.split is Split.SELECT
    ]
    spoken = {proposal.question: proposal.spoken for proposal in written.quiz}
    listed = await select_finalists(context, client, claim, job, pool, items, spoken=spoken, heard=heard)
    job = replace(job, attempts=listed.attempts)
    trained = await context.trainer.train(job, context.work_directory(claim.cycle), heard=heard)
    candidates = await asyncio.to_thread(_kept, context, claim, trained, chosen)
    output = Trained(
        candidates=tuple(candidate.index for candidate in candidates),
        directives=notes,
        settings_digest=context.settings.digest(),
        trials=tuple(_trial(adapter, pool, job) for adapter in trained),
        short_trials=listed.trials,
        remarks=(*remarks(context, claimed, earlier, pool, start=start), *listed.remarks),
        tokens=listed.tokens + sum(adapter.tokens for adapter in trained),
    )
    return Done(output=output, effects=(AddCandidates(candidates=candidates),))


async def _chosen(
    context: LearnContext, claim: Claim, written: Written, pool: Pool, *, start: Start | None
) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """Return the recipes to try, each as training so long needs it, and what became of the editor's wishes.

    What is taught again after forgetting is trained as it was, with the same seed, and otherwise never.
    """
    if again := await asyncio.to_thread(recipe_again, context, claim):
        return (replace(again, rank=start.rank, alpha=start.alpha) if start else again,), ()
    info = await context.engine.info()
    chosen, notes = recipes(
        context.settings.learn,
        written.directives,
        tenant=claim.tenant,
        cycle=claim.cycle,
        max_rank=info.max_rank or context.settings.learn.training.rank,
        start=start,
    )
    growth = step_growth(pool, is_rebuilt=start is None)
    return tuple(regularised(recipe, growth) for recipe in chosen), notes


def _kept(
    context: LearnContext, claim: Claim, trained: Iterable[TrainedAdapter], chosen: tuple[Recipe, ...]
) -> tuple[Candidate, ...]:
    """Put every adapter into the artifact store and return the candidates."""
    return tuple(
        Candidate(
            cycle=claim.cycle,
            index=adapter.index,
            recipe=chosen[adapter.index],
            artifact=context.registry.artifacts.put_directory(adapter.path),
            final_loss=adapter.final_loss,
            seconds=adapter.seconds,
        )
        for adapter in trained
    )


def _trial(adapter: TrainedAdapter, pool: Pool, job: TrainingJob) -> Trial:
    attempt = next(attempt for attempt in job.attempts if attempt.index == adapter.index)
    seen = [pool.examples[place] for place in sorted(set(attempt.order))]
    return Trial(
        index=adapter.index,
        losses=adapter.losses,
        self_edits=tuple(sorted({note for example in seen if example.document in pool.new for note in example.notes})),
        drift=adapter.drift,
        weight_change=adapter.weight_change,
    )
