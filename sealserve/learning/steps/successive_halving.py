"""Many recipes in stages: which of them are worth a full training, by what they cover and by a short one.

The idea of staged evaluation is the Darwin Goedel Machine's (arXiv 2505.22954), as in `recipe_search.py`; what is
measured are selection questions, never confirming ones. Knows nothing of winners: the full trainings are ranked anew.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from sealserve.canonical import Json
from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient, candidate_name
from sealserve.learning.evaluation.rewards.base import ScoredItem, scored_items
from sealserve.learning.evaluation.rewards.likelihood import LogLikelihood
from sealserve.learning.evaluation.scoring import Failed, Suite, score_matrix
from sealserve.learning.study.grounding import answer_span
from sealserve.learning.training.examples import Pool
from sealserve.learning.training.sampler import is_wanted
from sealserve.learning.training_job import Attempt, TrainedAdapter, TrainingJob
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import Claim, QuizItem
from sealserve.records.step_outputs import ShortTrial

SHORT_SHARE = 0.25
"""Of the full training's steps. Embedded model, five articles, twelve recipes that differ in rate, rank, notes, epochs
and loss: after so many steps the answers' likelihoods rank recipes as after all (Spearman 0.94 to 0.98), and the best
one was among the first four each time (looked at by hand; no command repeats it)."""

LEAST_COVERAGE = 0.5
"""Of the best recipe's: one whose examples give fewer of the answers asked for is not trained at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalists:
    """The attempts left to be trained in full, every short training, what to say, and the tokens that it took."""

    attempts: tuple[Attempt, ...]
    trials: tuple[ShortTrial, ...] = ()
    remarks: tuple[str, ...] = ()
    tokens: int = 0


async def select_finalists(
    context: LearnContext,
    client: EngineClient,
    claim: Claim,
    job: TrainingJob,
    pool: Pool,
    items: Sequence[QuizItem],
    *,
    spoken: dict[str, str],
    heard: Callable[[Json], None],
) -> Finalists:
    """Return the job's attempts whose recipes are among the best `learn.training.finalists`; all, if there are no more.

    Each recipe is tried once, whatever its seeds. Raises: TrainingFailed (no short training ends), EngineFailed.
    """
    most = context.settings.learn.training.finalists
    firsts = _firsts(job.attempts)
    if len(firsts) <= most:
        return Finalists(attempts=job.attempts)
    covering = _covering(firsts, pool, items)
    short = replace(job, attempts=tuple(_shortened(attempt) for attempt in covering))
    trained = await context.trainer.train(short, context.work_directory(claim.cycle) / "short", heard=heard)
    scores = await _scores(context, client, claim, trained, scored_items(items, spoken=spoken, rules={}))
    best = sorted(scores, key=lambda index: (-scores[index], index))[:most]
    chosen = {_recipe(attempt) for attempt in covering if attempt.index in best}
    tokens = sum(adapter.tokens for adapter in trained)
    trials = _trials(short.attempts, trained, scores)
    if not chosen:
        why = ("short trainings could not be measured",)
        return Finalists(attempts=job.attempts, trials=trials, remarks=why, tokens=tokens)
    return Finalists(
        attempts=tuple(attempt for attempt in job.attempts if _recipe(attempt) in chosen),
        trials=trials,
        remarks=(_remark(firsts, covering, scores, best),),
        tokens=tokens,
    )


def coverage(pool: Pool, recipe: Recipe, items: Sequence[QuizItem]) -> float:
    """Return the share of the items whose answer stands in an example, on the item's document, that is trained on."""
    told = {
        item.document: "\n".join(e.completion for e in pool.examples if is_wanted(e, recipe, {item.document}))
        for item in items
    }
    found = [bool(answer_span(one.answer, question=one.question, document=told[one.document])) for one in items]
    return sum(found) / len(found) if found else 0.0


def _firsts(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The first attempt of each recipe."""
    first = {_recipe(attempt): attempt for attempt in reversed(attempts)}
    return sorted(first.values(), key=lambda attempt: attempt.index)


def _recipe(attempt: Attempt) -> Recipe:
    return replace(attempt.recipe, seed=0)


def _covering(firsts: Sequence[Attempt], pool: Pool, items: Sequence[QuizItem]) -> list[Attempt]:
    covered = [coverage(pool, attempt.recipe, items) for attempt in firsts]
    least = LEAST_COVERAGE * max(covered)
    return [attempt for attempt, share in zip(firsts, covered, strict=True) if share >= least]


def _shortened(attempt: Attempt) -> Attempt:
    steps = max(1, round(attempt.steps * SHORT_SHARE))
    return replace(attempt, steps=steps, order=attempt.order[: steps * attempt.recipe.batch_size])


def _trials(
    attempts: Sequence[Attempt], trained: Sequence[TrainedAdapter], scores: dict[int, float]
) -> tuple[ShortTrial, ...]:
    tried = {attempt.index: attempt for attempt in attempts}
    return tuple(
        ShortTrial(
            index=one.index,
            recipe=tried[one.index].recipe,
            steps=tried[one.index].steps,
            losses=one.losses,
            score=scores.get(one.index),
        )
        for one in trained
    )


async def _scores(
    context: LearnContext,
    client: EngineClient,
    claim: Claim,
    trained: Sequence[TrainedAdapter],
    asked: tuple[ScoredItem, ...],
) -> dict[int, float]:
    """Return the mean log-likelihood of the answers under each adapter that can be measured; none is kept."""
    artifacts = context.registry.artifacts
    digests = [await asyncio.to_thread(artifacts.put_directory, one.path) for one in trained]
    try:
        async with AsyncExitStack() as held:
            files = [
                AdapterFiles(
                    name=candidate_name(claim.cycle, f"short{one.index}", artifact=digest),
                    path=await held.enter_async_context(in_thread(artifacts.materialise(digest))),
                )
                for one, digest in zip(trained, digests, strict=True)
            ]
            sheets = await score_matrix(client, files, [Suite(reward=LogLikelihood(), items=asked)])
    finally:
        for digest in set(digests):
            await asyncio.to_thread(context.registry.artifact_gc.delete_unnamed, digest)
    return {
        one.index: sum(scores) / len(scores)
        for one, (scores,) in zip(trained, sheets, strict=True)
        if not isinstance(scores, Failed)
    }


def _remark(
    firsts: Sequence[Attempt], covering: Sequence[Attempt], scores: dict[int, float], best: Sequence[int]
) -> str:
    shown = ", ".join(f"{index}: {scores[index]:+.2f}" for index in sorted(scores, key=lambda one: -scores[one]))
    left = f"; {len(firsts) - len(covering)} cover too little" if len(covering) < len(firsts) else ""
    return (
        f"{len(best)} of {len(firsts)} recipes were trained in full, the best after {SHORT_SHARE:.0%} of the steps "
        f"(log p of the answers by candidate: {shown}{left})"
    )
