"""RANK: scores the candidates on the selection half of the quiz and chooses a winner."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.evaluation.ranking import Contender, RankingInputs, nothing_ranked, rank
from sealserve.learning.evaluation.rewards.base import Kind
from sealserve.learning.evaluation.rewards.registry import reward_by_name
from sealserve.learning.journal import Done
from sealserve.learning.steps.measurement_inputs import candidate_files, incumbent_files, open_score_cache, quiz_half
from sealserve.learning.study.tenant_questions import corrections, rules_of
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import QuizItem, Split
from sealserve.records.rewards import is_reward
from sealserve.records.step_outputs import Ranked
from sealserve.records.versions import BASE_VERSION

MIN_CORRECTIONS = 5
"""With fewer corrections than this, the feedback reward ranks no candidate."""


async def rank_candidates(run: CycleRun) -> Done[Ranked]:
    """RANK: record every candidate's gain over the incumbent by the tenant's reward, and the winner."""
    context, claim = run.context, run.claim
    settings = context.settings.learn.reward
    kind = settings.kind_of(claim.tenant)
    reward = reward_by_name(kind, settings)
    candidates = await asyncio.to_thread(context.registry.cycles.candidates, claim.cycle)
    if why := await asyncio.to_thread(_reward_fault, run, kind):
        return Done(output=nothing_ranked([c.index for c in candidates], reward, why))
    async with AsyncExitStack() as held:
        contenders = [
            Contender(
                index=c.index,
                files=await held.enter_async_context(candidate_files(run, c)),
                recipe=_first_of_recipe(c, candidates),
            )
            for c in candidates
        ]
        inputs = RankingInputs(
            incumbent=await held.enter_async_context(incumbent_files(run)),
            items=await _selection_items(run, kind),
            reference_text={proposal.question: proposal.reference_text for proposal in run.written.quiz},
            rules=await asyncio.to_thread(rules_of, context.registry, claim.tenant, run.written.evaluation),
            reward=reward,
        )
        cache = await open_score_cache(run, candidates)
        output = await rank(run.client, contenders, inputs, confidence=context.policy.confidence, cache=cache)
    return Done(output=output)


async def _selection_items(run: CycleRun, kind: Kind) -> tuple[QuizItem, ...]:
    if kind is Kind.FEEDBACK:
        return await asyncio.to_thread(corrections, run.context.registry, run.claim.tenant, Split.SELECT)
    return await quiz_half(run, Split.SELECT)


def _reward_fault(run: CycleRun, kind: Kind) -> str:
    """Return why this reward cannot rank now; "" if it can."""
    context, claim = run.context, run.claim
    if kind is Kind.FEEDBACK and len(corrections(context.registry, claim.tenant, Split.SELECT)) < MIN_CORRECTIONS:
        need = f"reward feedback needs {MIN_CORRECTIONS} corrections to select by"
        return f"{need}; set another learn.reward.kind until then"
    most = context.settings.learn.reward.consistency_rounds
    if kind is Kind.SELF_CONSISTENCY and _count_self_chosen(run) >= most:
        return "self_consistency has chosen the last versions; let a reward with right answers choose the next"
    return ""


def _count_self_chosen(run: CycleRun) -> int:
    """Return how many consecutive versions, up to the incumbent, were chosen by self-consistency.

    The number is bounded because self-consistency drifts without ground truth.
    """
    count, version = 0, run.claimed.incumbent
    while version != BASE_VERSION:
        found = run.context.registry.versions.get(run.claim.tenant, version)
        if not is_reward(found.lineage.reward or "", Kind.SELF_CONSISTENCY):
            break
        count, version = count + 1, found.parent
    return count


def _first_of_recipe(candidate: Candidate, candidates: Sequence[Candidate]) -> int:
    """Return the index of the first candidate with this one's recipe, seeds aside."""
    recipe = replace(candidate.recipe, seed=0)
    return next(other.index for other in candidates if replace(other.recipe, seed=0) == recipe)
