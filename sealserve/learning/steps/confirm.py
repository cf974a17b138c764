"""CONFIRM: compares the winner with the incumbent on questions that ranking never saw."""

import asyncio

from sealserve.engine.engine import AdapterFiles
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.answer_samples import shown_answers
from sealserve.learning.evaluation.backdoor_probe import anomalies
from sealserve.learning.evaluation.confirmation import confirm
from sealserve.learning.evaluation.regression_suites import matched_suites
from sealserve.learning.journal import Done
from sealserve.learning.steps.measurement_inputs import (
    _evaluation,
    _items,
    _kept,
    _rules,
    adapter_files,
    incumbent_files,
)
from sealserve.learning.study.tenant_questions import own_questions
from sealserve.learning.training.replay import earlier_material
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import Claim, QuizItem, Split
from sealserve.records.scores import NotApplicable, Scorecard, Unmeasured
from sealserve.records.step_outputs import Claimed, Confirmed, Ranked
from sealserve.records.versions import BASE_VERSION


async def confirm_winner(
    context: LearnContext, client: EngineClient, claim: Claim, claimed: Claimed, ranked: Ranked
) -> Done[Confirmed]:
    """CONFIRM: the winner against the incumbent, on questions that neither training nor ranking saw."""
    if ranked.winner is None:
        return Done(output=Confirmed(scorecard=_no_winner(ranked, is_first=claimed.incumbent == BASE_VERSION)))
    candidates = await asyncio.to_thread(context.registry.cycles.candidates, claim.cycle)
    winner = next(candidate for candidate in candidates if candidate.index == ranked.winner)
    async with (
        adapter_files(context, claim, str(winner.index), artifact=winner.artifact) as files,
        incumbent_files(context, claim, claimed) as incumbent,
    ):
        output = await _measure(context, client, claim, claimed, winner, files=files, incumbent=incumbent)
    return Done(output=output)


async def _measure(
    context: LearnContext,
    client: EngineClient,
    claim: Claim,
    claimed: Claimed,
    winner: Candidate,
    *,
    files: AdapterFiles,
    incumbent: AdapterFiles | None,
) -> Confirmed:
    items = await _confirming(context, claim, claimed)
    rules = await asyncio.to_thread(_rules, context, claim)
    card = await confirm(
        client,
        files,
        incumbent=incumbent,
        items=items,
        earlier=await _earlier_items(context, claim, claimed),
        probes=context.probes,
        confidence=context.policy.confidence,
        rules=rules,
        kept=await _kept(context, claim, claimed, [winner]),
        own=await asyncio.to_thread(matched_suites, context, claim.tenant),
    )
    shown = await shown_answers(client, files, incumbent=incumbent, items=items, rules=rules)
    strange = await anomalies(context, client, claim, claimed, winner=files, incumbent=incumbent)
    if strange.trigger_gap is not None:
        context.telemetry.metrics.winner_probed(trigger_gap=strange.trigger_gap, spectrum_z=strange.spectrum_z)
    return Confirmed(scorecard=card, shown=shown, anomalies=strange)


async def _confirming(context: LearnContext, claim: Claim, claimed: Claimed) -> tuple[QuizItem, ...]:
    """The confirmation half of the quiz; all of the tenant's own questions where nothing was studied."""
    if claimed.documents:
        return await _items(context, claim, Split.CONFIRM)
    sets = await asyncio.to_thread(_evaluation, context, claim)
    return await asyncio.to_thread(own_questions, context.registry, claim.tenant, sets)


async def _earlier_items(context: LearnContext, claim: Claim, claimed: Claimed) -> tuple[QuizItem, ...] | None:
    """What is asked about earlier documents, as far as it still holds; None where nothing can have been forgotten."""
    earlier = await asyncio.to_thread(earlier_material, context, claim, claimed)
    is_all_superseded = earlier.left_out and not earlier.quiz
    if not earlier.documents or is_all_superseded:
        return None
    return tuple(item for item in earlier.quiz if item.split is Split.CONFIRM)


def _no_winner(ranked: Ranked, *, is_first: bool) -> Scorecard:
    whys = sorted({score.why for score in ranked.scores if score.why})
    nothing = Unmeasured(why="; ".join(whys) or "no candidate: too few notes or questions passed the filter")
    replay = NotApplicable(because="nothing learned earlier") if is_first else nothing
    return Scorecard(confirm=nothing, replay=replay, canary=nothing, unknown=nothing)
