"""RANK: scores the candidates on the selection half of the quiz and picks a winner."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.ranking import Contender, nothing_ranked, rank
from sealserve.learning.evaluation.rewards.base import Kind
from sealserve.learning.evaluation.rewards.registry import reward_by_name
from sealserve.learning.journal import Done
from sealserve.learning.steps.measurement_inputs import _items, _kept, adapter_files, incumbent_files
from sealserve.learning.study.tenant_questions import corrections, rules_of
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import Claim, Split
from sealserve.records.step_outputs import Claimed, Ranked, Written
from sealserve.records.versions import BASE_VERSION

MIN_CORRECTIONS = 5
"""Fewer corrections than this rank nobody."""


async def rank_candidates(
    context: LearnContext, client: EngineClient, claim: Claim, claimed: Claimed, written: Written
) -> Done[Ranked]:
    """RANK: every candidate against the incumbent on the selection half of the questions, by the tenant's reward."""
    settings = context.settings.learn.reward
    kind = settings.kind_of(claim.tenant)
    reward = reward_by_name(kind, settings)
    candidates = await asyncio.to_thread(context.registry.cycles.candidates, claim.cycle)
    if why := await asyncio.to_thread(_unusable, context, claim, claimed, kind):
        return Done(output=nothing_ranked([c.index for c in candidates], reward, why))
    async with AsyncExitStack() as held:
        incumbent = await held.enter_async_context(incumbent_files(context, claim, claimed))
        contenders = [
            Contender(
                index=c.index,
                files=await held.enter_async_context(adapter_files(context, claim, str(c.index), artifact=c.artifact)),
                recipe=_same(c, candidates),
            )
            for c in candidates
        ]
        output = await rank(
            client,
            contenders,
            incumbent=incumbent,
            items=await asyncio.to_thread(corrections, context.registry, claim.tenant, Split.SELECT)
            if kind is Kind.FEEDBACK
            else await _items(context, claim, Split.SELECT),
            spoken={proposal.question: proposal.spoken for proposal in written.quiz},
            confidence=context.policy.confidence,
            reward=reward,
            rules=await asyncio.to_thread(rules_of, context.registry, claim.tenant, written.evaluation),
            kept=await _kept(context, claim, claimed, candidates),
        )
    return Done(output=output)


def _unusable(context: LearnContext, claim: Claim, claimed: Claimed, kind: Kind) -> str:
    """Why this reward cannot rank now; "" when it can."""
    if kind is Kind.FEEDBACK and len(corrections(context.registry, claim.tenant, Split.SELECT)) < MIN_CORRECTIONS:
        need = f"reward feedback needs {MIN_CORRECTIONS} corrections to select by"
        return f"{need}; set another learn.reward.kind until then"
    most = context.settings.learn.reward.consistency_rounds
    if kind is Kind.AGREEMENT and _agreed_in_a_row(context, claim, claimed) >= most:
        return "agreement has chosen the last versions; let a reward with right answers choose the next"
    return ""


def _agreed_in_a_row(context: LearnContext, claim: Claim, claimed: Claimed) -> int:
    """How many versions, the incumbent first, were chosen by agreement: who pleases itself for long forgets truth."""
    count, version = 0, claimed.incumbent
    while version != BASE_VERSION:
        found = context.registry.versions.get(claim.tenant, version)
        if not (found.lineage.reward or "").startswith(Kind.AGREEMENT):
            break
        count, version = count + 1, found.parent
    return count


def _same(candidate: Candidate, candidates: Sequence[Candidate]) -> int:
    """The first candidate with this one's recipe, seeds aside."""
    recipe = replace(candidate.recipe, seed=0)
    return next(other.index for other in candidates if replace(other.recipe, seed=0) == recipe)
