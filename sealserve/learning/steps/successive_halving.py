"""Successive halving: selects the recipes worth a full training by their coverage and by a short training.

Staged evaluation follows the Darwin Goedel Machine (arXiv 2505.22954), as in `recipe_search.py`. Only selection
questions are used, never confirmation questions. RANK scores the fully trained candidates again.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from sealserve.canonical import Json
from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.engine_client import candidate_name
from sealserve.learning.evaluation.rewards.base import ScoredItem, scored_items
from sealserve.learning.evaluation.rewards.likelihood import LogLikelihood
from sealserve.learning.evaluation.scoring import Failed, Suite, score_matrix
from sealserve.learning.study.grounding import answer_span
from sealserve.learning.training.examples import Pool
from sealserve.learning.training.sampler import is_wanted
from sealserve.learning.training_job import Attempt, TrainedAdapter, TrainingJob
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import QuizItem
from sealserve.records.step_outputs import ShortTrial

SHORT_SHARE = 0.25
"""Share of the full training's steps. Embedded model, five articles, twelve recipes that differ in rate, rank, notes,
epochs and loss: at this share the answers' likelihoods rank recipes as at the end (Spearman 0.94 to 0.98), and the best
recipe was among the first four each time (checked by hand; no command reproduces it)."""

LEAST_COVERAGE = 0.5
"""Share of the best recipe's coverage. A recipe whose examples contain fewer of the answers is not trained at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalists:
    """The attempts to train in full, every short training, remarks for the report, and the tokens trained on."""

    attempts: tuple[Attempt, ...]
    trials: tuple[ShortTrial, ...] = ()
    remarks: tuple[str, ...] = ()
    tokens: int = 0


async def select_finalists(
    run: CycleRun, job: TrainingJob, pool: Pool, items: Sequence[QuizItem], *, on_progress: Callable[[Json], None]
) -> Finalists:
    """Return the attempts of the best `learn.training.finalists` recipes; all attempts if there are no more recipes.

    Each recipe is tried once, whatever the number of its seeds. Raises: TrainingFailed (every short training failed),
    EngineFailed.
    """
    context = run.context
    most = context.settings.learn.training.finalists
    firsts = _first_attempts(job.attempts)
    if len(firsts) <= most:
        return Finalists(attempts=job.attempts)
    covering = _select_covering(firsts, pool, items)
    short = replace(job, attempts=tuple(_shorten(attempt) for attempt in covering))
    trained = await context.trainer.train(
        short, context.work_directory(run.claim.cycle) / "short", on_progress=on_progress
    )
    reference_text = {proposal.question: proposal.reference_text for proposal in run.written.quiz}
    scores = await _measure(run, trained, scored_items(items, reference_text=reference_text, rules={}))
    best = sorted(scores, key=lambda index: (-scores[index], index))[:most]
    chosen = {_without_seed(attempt) for attempt in covering if attempt.index in best}
    tokens = sum(adapter.tokens for adapter in trained)
    trials = _describe_trials(short.attempts, trained, scores)
    if not chosen:
        why = ("short trainings could not be measured",)
        return Finalists(attempts=job.attempts, trials=trials, remarks=why, tokens=tokens)
    return Finalists(
        attempts=tuple(attempt for attempt in job.attempts if _without_seed(attempt) in chosen),
        trials=trials,
        remarks=(_describe_choice(firsts, covering, scores, best),),
        tokens=tokens,
    )


def coverage(pool: Pool, recipe: Recipe, items: Sequence[QuizItem]) -> float:
    """Return the share of the items whose answer occurs in an example of their document that the recipe trains on."""
    texts = {
        item.document: "\n".join(e.completion for e in pool.examples if is_wanted(e, recipe, {item.document}))
        for item in items
    }
    found = [bool(answer_span(item.answer, question=item.question, document=texts[item.document])) for item in items]
    return sum(found) / len(found) if found else 0.0


def _first_attempts(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the first attempt of each recipe."""
    first = {_without_seed(attempt): attempt for attempt in reversed(attempts)}
    return sorted(first.values(), key=lambda attempt: attempt.index)


def _without_seed(attempt: Attempt) -> Recipe:
    return replace(attempt.recipe, seed=0)


def _select_covering(firsts: Sequence[Attempt], pool: Pool, items: Sequence[QuizItem]) -> list[Attempt]:
    covered = [coverage(pool, attempt.recipe, items) for attempt in firsts]
    least = LEAST_COVERAGE * max(covered)
    return [attempt for attempt, share in zip(firsts, covered, strict=True) if share >= least]


def _shorten(attempt: Attempt) -> Attempt:
    steps = max(1, round(attempt.steps * SHORT_SHARE))
    return replace(attempt, steps=steps, order=attempt.order[: steps * attempt.recipe.batch_size])


def _describe_trials(
    attempts: Sequence[Attempt], trained: Sequence[TrainedAdapter], scores: dict[int, float]
) -> tuple[ShortTrial, ...]:
    tried = {attempt.index: attempt for attempt in attempts}
    return tuple(
        ShortTrial(
            index=adapter.index,
            recipe=tried[adapter.index].recipe,
            steps=tried[adapter.index].steps,
            losses=adapter.losses,
            score=scores.get(adapter.index),
        )
        for adapter in trained
    )


async def _measure(
    run: CycleRun, trained: Sequence[TrainedAdapter], questions: tuple[ScoredItem, ...]
) -> dict[int, float]:
    """Return the mean log-likelihood of the answers under each adapter that can be measured. No adapter is stored."""
    registry = run.context.registry
    digests = [await asyncio.to_thread(registry.artifacts.put_directory, adapter.path) for adapter in trained]
    try:
        async with AsyncExitStack() as held:
            files = [
                AdapterFiles(
                    name=candidate_name(run.claim.cycle, f"short{adapter.index}", artifact=digest),
                    path=await held.enter_async_context(in_thread(registry.artifacts.materialise(digest))),
                )
                for adapter, digest in zip(trained, digests, strict=True)
            ]
            rows = await score_matrix(run.client, files, [Suite(reward=LogLikelihood(), items=questions)])
    finally:
        for digest in set(digests):
            await asyncio.to_thread(registry.artifact_gc.delete_unnamed, digest)
    return {
        adapter.index: sum(scores) / len(scores)
        for adapter, (scores,) in zip(trained, rows, strict=True)
        if not isinstance(scores, Failed)
    }


def _describe_choice(
    firsts: Sequence[Attempt], covering: Sequence[Attempt], scores: dict[int, float], best: Sequence[int]
) -> str:
    ranking = ", ".join(f"{index}: {scores[index]:+.2f}" for index in sorted(scores, key=lambda i: -scores[i]))
    left = f"; {len(firsts) - len(covering)} cover too little" if len(covering) < len(firsts) else ""
    return (
        f"{len(best)} of {len(firsts)} recipes were trained in full, the best after {SHORT_SHARE:.0%} of the steps "
        f"(log p of the answers by candidate: {ranking}{left})"
    )
