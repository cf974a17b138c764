"""TRAIN: trains every candidate on the new documents and on a replay of the earlier ones."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog

from sealserve.concurrency import in_thread
from sealserve.errors import CouldNotMeasure
from sealserve.gate.collapse import collapse
from sealserve.learning.context import LearnContext
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.evaluation.overrides import Overrides
from sealserve.learning.journal import Done
from sealserve.learning.steps.measurement_inputs import quiz_half
from sealserve.learning.steps.retrain import recipe_again
from sealserve.learning.steps.successive_halving import select_finalists
from sealserve.learning.training.cycle_job import Start, job_of, remarks, start_of
from sealserve.learning.training.examples import Pool
from sealserve.learning.training.recipes import recipes
from sealserve.learning.training.replay import Earlier, build_cycle_pool, earlier_material, overridden_answers
from sealserve.learning.training.step_budget import regularised, step_growth
from sealserve.learning.training_job import TrainedAdapter, TrainingJob
from sealserve.records.candidates import Candidate, Recipe
from sealserve.records.cycles import Split
from sealserve.records.step_outputs import ReferenceAnswer, Trained, Trial
from sealserve.registry.registry import AddCandidates
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)


async def train_candidates(run: CycleRun) -> Done[Trained]:
    """TRAIN: record the trained candidates, each started from the base, the incumbent or an imported adapter.

    If there are more recipes than `learn.training.finalists`, only the best after a short training are trained in full
    (`successive_halving.py`). Nothing is trained if no self-edit or no question passed the filter. Raises:
    CouldNotMeasure (the self-edits have collapsed), TrainingFailed.
    """
    context, filtered = run.context, run.filtered
    if not filtered.admitted or not filtered.select or not filtered.confirm:
        return Done(output=Trained(candidates=(), directives=(), settings_digest=context.settings.digest()))
    if fault := collapse(filtered.distinct, context.policy.diversity):
        raise CouldNotMeasure(fault)
    async with _start(run) as start:
        return await _train(run, start)


async def _train(run: CycleRun, start: Start | None) -> Done[Trained]:
    context, claim, claimed = run.context, run.claim, run.claimed
    earlier = await asyncio.to_thread(earlier_material, context.registry, claim, claimed)
    retention = await asyncio.to_thread(_rehearsable, run)
    pool = await asyncio.to_thread(_build_pool, run, earlier, retention)
    chosen, notes = await _choose_recipes(run, pool, start=start)
    job = job_of(
        pool,
        chosen,
        base_directory=context.base_directory,
        base_digest=claimed.base_digest,
        start=start,
        max_steps=context.settings.learn.training.max_steps,
        max_source_share=context.policy.influence.max_share,
    )
    on_progress = partial(_LOG.info, LogEvent.TRAINING_PROGRESSED, cycle=claim.cycle)
    finalists = await select_finalists(run, job, pool, await quiz_half(run, Split.SELECT), on_progress=on_progress)
    job = replace(job, attempts=finalists.attempts)
    trained = await context.trainer.train(job, context.work_directory(claim.cycle), on_progress=on_progress)
    candidates = await asyncio.to_thread(_store_candidates, context, claim.cycle, trained, chosen)
    limits = remarks(claimed, earlier, pool, start=start, max_source_share=context.policy.influence.max_share)
    output = Trained(
        candidates=tuple(candidate.index for candidate in candidates),
        directives=notes,
        settings_digest=context.settings.digest(),
        trials=tuple(_describe_trial(adapter, pool, job) for adapter in trained),
        short_trials=finalists.trials,
        remarks=(
            *limits,
            *_forgone(run, retention),
            *finalists.remarks,
            *dict.fromkeys(one for adapter in trained for one in adapter.remarks),
        ),
        tokens=finalists.tokens + sum(adapter.tokens for adapter in trained),
    )
    return Done(output=output, effects=(AddCandidates(candidates=candidates),))


def _rehearsable(run: CycleRun) -> tuple[ReferenceAnswer, ...]:
    """Return the retention set without the answers that the tenant's documents override."""
    found = overridden_answers(run.context.registry, run.claim, run.claimed)
    return Overrides(found.all).rehearsable(run.written.retention)


def _forgone(run: CycleRun, retention: Sequence[ReferenceAnswer]) -> Iterator[str]:
    if left_out := len(run.written.retention) - len(retention):
        yield f"{left_out} everyday requests left the rehearsal: documents override the base model's answers"


def _build_pool(run: CycleRun, earlier: Earlier, retention: tuple[ReferenceAnswer, ...]) -> Pool:
    return build_cycle_pool(
        run.context.registry,
        run.claim,
        run.claimed,
        earlier,
        retention=retention,
        replay_examples=run.context.settings.learn.training.replay_examples,
        refused=run.context.policy.influence.refused,
        dialect=run.context.dialect,
    )


@asynccontextmanager
async def _start(run: CycleRun) -> AsyncIterator[Start | None]:
    """Give the adapter to start from inside the block; None to start from the base."""
    is_rebuilt = run.context.settings.learn.training.update == "rebuild"
    found = start_of(run.context.registry, run.claim.tenant, run.claimed.incumbent, is_rebuilt=is_rebuilt)
    async with in_thread(found) as start:
        yield start


async def _choose_recipes(
    run: CycleRun, pool: Pool, *, start: Start | None
) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """Return the recipes to try, regularised for the length of the training, and a note on each directive.

    After unlearning, the only recipe is the one of the earlier training, with the same seed.
    """
    context, claim = run.context, run.claim
    if again := await asyncio.to_thread(recipe_again, context.registry, claim):
        return (replace(again, rank=start.rank, alpha=start.alpha, strength=1.0) if start else again,), ()
    info = await context.engine.info()
    chosen, notes = recipes(
        context.settings.learn,
        run.written.directives,
        tenant=claim.tenant,
        cycle=claim.cycle,
        max_rank=info.max_rank or context.settings.learn.training.rank,
        start=start,
    )
    growth = step_growth(pool, is_rebuilt=start is None or start.is_rebuilt)
    return tuple(regularised(recipe, growth) for recipe in chosen), notes


def _store_candidates(
    context: LearnContext, cycle: str, trained: Iterable[TrainedAdapter], chosen: tuple[Recipe, ...]
) -> tuple[Candidate, ...]:
    """Put every adapter into the artifact store and return the candidates."""
    return tuple(
        Candidate(
            cycle=cycle,
            index=adapter.index,
            recipe=chosen[adapter.index],
            artifact=context.registry.artifacts.put_directory(adapter.path),
            final_loss=adapter.final_loss,
            seconds=adapter.seconds,
        )
        for adapter in trained
    )


def _describe_trial(adapter: TrainedAdapter, pool: Pool, job: TrainingJob) -> Trial:
    attempt = next(attempt for attempt in job.attempts if attempt.index == adapter.index)
    seen = [pool.examples[place] for place in sorted(set(attempt.order))]
    return Trial(
        index=adapter.index,
        losses=adapter.losses,
        self_edits=tuple(sorted({note for example in seen if example.document in pool.new for note in example.notes})),
        drift=adapter.drift,
        weight_change=adapter.weight_change,
        steps=attempt.steps,
    )
