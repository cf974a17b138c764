"""CONFIRM: compares the winner with the incumbent on questions that ranking never saw."""

import asyncio
from collections.abc import Sequence

from sealserve.engine.engine import AdapterFiles
from sealserve.gate.thresholds import SafetyRule
from sealserve.grading.answers import is_right
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.evaluation.answer_samples import sample_answers
from sealserve.learning.evaluation.backdoor_probe import find_anomalies
from sealserve.learning.evaluation.confirmation import ConfirmationInputs, confirm
from sealserve.learning.evaluation.overrides import Overrides
from sealserve.learning.evaluation.regression_suites import matched_suites
from sealserve.learning.journal import Done
from sealserve.learning.steps.measurement_inputs import candidate_files, incumbent_files, open_score_cache, quiz_half
from sealserve.learning.steps.write import read_studies
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.tenant_questions import own_questions, rules_of
from sealserve.learning.training.replay import earlier_material, overridden_answers
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import QuizItem, Split
from sealserve.records.scores import NotApplicable, Scorecard, Unmeasured
from sealserve.records.step_outputs import Confirmed, Ranked
from sealserve.records.versions import BASE_VERSION
from sealserve.writing_systems import language_of

MIN_AGREED = 0.2
"""Share of readings that agree from which a base can read a text: small models agree on less than half of English."""


async def confirm_winner(run: CycleRun) -> Done[Confirmed]:
    """CONFIRM: record the winner's scorecard, a few answers for people to read, and signs of a back door."""
    context, claimed, ranked = run.context, run.claimed, run.ranked
    if ranked.winner is None:
        why = await _why_no_candidate(run)
        card = _no_winner(ranked, why=why, is_first=claimed.incumbent == BASE_VERSION)
        return Done(output=Confirmed(scorecard=card))
    candidates = await asyncio.to_thread(context.registry.cycles.candidates, run.claim.cycle)
    winner = next(candidate for candidate in candidates if candidate.index == ranked.winner)
    async with candidate_files(run, winner) as files, incumbent_files(run) as incumbent:
        return Done(output=await _measure(run, winner, files=files, incumbent=incumbent))


async def _measure(
    run: CycleRun, winner: Candidate, *, files: AdapterFiles, incumbent: AdapterFiles | None
) -> Confirmed:
    context = run.context
    inputs = await _confirmation_inputs(run, incumbent)
    cache = await open_score_cache(run, [winner])
    card = await confirm(run.client, files, inputs, confidence=context.policy.confidence, cache=cache)
    answers = await sample_answers(run.client, files, incumbent=incumbent, items=inputs.items, rules=inputs.rules)
    anomalies = await find_anomalies(
        context.registry,
        run.client,
        run.claim,
        documents=run.claimed.documents,
        probes=context.probes,
        winner=files,
        incumbent=incumbent,
    )
    if anomalies.trigger_gap is not None:
        context.telemetry.metrics.winner_probed(trigger_gap=anomalies.trigger_gap, spectrum_z=anomalies.spectrum_z)
    return Confirmed(scorecard=card, shown=answers, anomalies=anomalies)


async def _confirmation_inputs(run: CycleRun, incumbent: AdapterFiles | None) -> ConfirmationInputs:
    context, tenant = run.context, run.claim.tenant
    items = await _confirmation_items(run)
    suites = await asyncio.to_thread(
        matched_suites,
        context.registry,
        context.probes,
        tenant,
        min_judge_share=context.policy.suites.min_judge_share,
    )
    overridden = await asyncio.to_thread(overridden_answers, context.registry, run.claim, run.claimed)
    return ConfirmationInputs(
        incumbent=incumbent,
        items=items,
        passages=_passages_of(items, await read_studies(run)),
        earlier=await _earlier_items(run),
        probes=context.probes,
        rules=await asyncio.to_thread(rules_of, context.registry, tenant, run.written.evaluation),
        suites=suites,
        retested={name for name in suites if isinstance(context.policy.rule_of(name), SafetyRule)},
        excused=Overrides(overridden.new).excused(),
        excused_before=Overrides(overridden.earlier).excused(),
    )


def _passages_of(items: Sequence[QuizItem], studies: Sequence[Study]) -> tuple[str, ...]:
    """Return the passage that answers each item, else the first of its document; () if a document has none."""
    found = []
    for item in items:
        own = [study.text for study in studies if study.passage.document == item.document]
        found += [next((text for text in own if is_right(text, item.answer)), own[0])] if own else []
    return tuple(found) if len(found) == len(items) else ()


async def _confirmation_items(run: CycleRun) -> tuple[QuizItem, ...]:
    """Return the confirmation half of the quiz; all of the tenant's own questions if no document was studied."""
    if run.claimed.documents:
        return await quiz_half(run, Split.CONFIRM)
    return await asyncio.to_thread(own_questions, run.context.registry, run.claim.tenant, run.written.evaluation)


async def _earlier_items(run: CycleRun) -> tuple[QuizItem, ...] | None:
    """Return the valid confirmation questions about earlier documents; None if nothing can have been forgotten.

    Where none of them is left, those that selected an earlier winner: no training has seen them either.
    """
    earlier = await asyncio.to_thread(earlier_material, run.context.registry, run.claim, run.claimed)
    is_all_superseded = earlier.left_out and not earlier.quiz
    if not earlier.documents or is_all_superseded:
        return None
    return tuple(item for item in earlier.quiz if item.split is Split.CONFIRM) or earlier.quiz


async def _why_no_candidate(run: CycleRun) -> str:
    """Return why nothing could be trained or asked: the base cannot read the text, or too little passed the filter."""
    written = run.written
    if written.readings and written.agreed < MIN_AGREED * written.readings:
        text = " ".join(study.text for study in await read_studies(run))
        language = language_of(text)
        named = language if language not in ("", "English") else "this text"
        return f"this base does not read {named}: {written.agreed} of {written.readings} readings agreed"
    return "no candidate: too few notes or questions passed the filter"


def _no_winner(ranked: Ranked, *, why: str, is_first: bool) -> Scorecard:
    reasons = sorted({score.why for score in ranked.scores if score.why})
    nothing = Unmeasured(why="; ".join(reasons) or why)
    replay = NotApplicable(because="nothing learned earlier") if is_first else nothing
    return Scorecard(confirm=nothing, replay=replay, canary=nothing, unknown=nothing)
