"""The second half of a cycle: candidates in, a scorecard out. Each function is one step; `cycle.py` orders them.

Reads the registry, and writes nothing but measurements that need not be taken again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sealserve.engine.engine import AdapterFiles
from sealserve.grading.answers import Matcher
from sealserve.learning.given import corrections, own_questions, rules_of
from sealserve.learning.journal import Done
from sealserve.learning.probing import anomalies
from sealserve.learning.replay import earlier_material
from sealserve.learning.reward import Contender, confirm, nothing_ranked, rank
from sealserve.learning.rewards.by_name import reward_by_name
from sealserve.learning.rewards.kinds import Kind
from sealserve.learning.sheets import Kept
from sealserve.learning.shown import shown_answers
from sealserve.learning.suites import kept_over, matched_suites
from sealserve.learning.voice import Voice, candidate_name
from sealserve.learning.workshop import Workshop
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import Claim, QuizItem, Split, Step
from sealserve.records.scores import NotApplicable, Scorecard, Unmeasured
from sealserve.records.step_outputs import Claimed, Confirmed, Ranked, Written, from_json
from sealserve.records.versions import BASE_VERSION

MIN_CORRECTIONS = 5
"""Fewer corrections than this rank nobody."""


async def rank_candidates(
    shop: Workshop, voice: Voice, claim: Claim, claimed: Claimed, written: Written
) -> Done[Ranked]:
    """RANK: every candidate against the incumbent on the selection half of the questions, by the tenant's reward."""
    kind = shop.settings.learn.reward_of(claim.tenant)
    reward = reward_by_name(kind, shop.settings.learn)
    candidates = await asyncio.to_thread(shop.registry.candidates, claim.cycle)
    if why := await asyncio.to_thread(_unusable, shop, claim, claimed, kind):
        return Done(output=nothing_ranked([c.index for c in candidates], reward, why))
    incumbent = await incumbent_files(shop, claim, claimed)
    contenders = [
        Contender(
            index=c.index,
            files=await _files(shop, claim, str(c.index), artifact=c.artifact),
            recipe=_same(c, candidates),
        )
        for c in candidates
    ]
    output = await rank(
        voice,
        contenders,
        incumbent=incumbent,
        items=await asyncio.to_thread(corrections, shop.registry, claim.tenant, Split.SELECT)
        if kind is Kind.FEEDBACK
        else await _items(shop, claim, Split.SELECT),
        spoken={proposal.question: proposal.spoken for proposal in written.quiz},
        confidence=shop.policy.confidence,
        reward=reward,
        rules=await asyncio.to_thread(rules_of, shop.registry, claim.tenant, written.evaluation),
        kept=await _kept(shop, claim, claimed, candidates),
    )
    return Done(output=output)


async def confirm_winner(
    shop: Workshop, voice: Voice, claim: Claim, claimed: Claimed, ranked: Ranked
) -> Done[Confirmed]:
    """CONFIRM: the winner against the incumbent, on questions that neither training nor ranking saw."""
    if ranked.winner is None:
        return Done(output=Confirmed(scorecard=_no_winner(ranked, is_first=claimed.incumbent == BASE_VERSION)))
    candidates = await asyncio.to_thread(shop.registry.candidates, claim.cycle)
    winner = next(candidate for candidate in candidates if candidate.index == ranked.winner)
    files = await _files(shop, claim, str(winner.index), artifact=winner.artifact)
    incumbent = await incumbent_files(shop, claim, claimed)
    items = await _confirming(shop, claim, claimed)
    rules = await asyncio.to_thread(_rules, shop, claim)
    card = await confirm(
        voice,
        files,
        incumbent=incumbent,
        items=items,
        earlier=await _earlier_items(shop, claim, claimed),
        probes=shop.probes,
        confidence=shop.policy.confidence,
        rules=rules,
        kept=await _kept(shop, claim, claimed, [winner]),
        own=await asyncio.to_thread(matched_suites, shop, claim.tenant),
    )
    shown = await shown_answers(voice, files, incumbent=incumbent, items=items, rules=rules)
    strange = await anomalies(shop, voice, claim, claimed, winner=files, incumbent=incumbent)
    if strange.trigger_gap is not None:
        shop.telemetry.metrics.winner_probed(trigger_gap=strange.trigger_gap, spectrum_z=strange.spectrum_z)
    return Done(output=Confirmed(scorecard=card, shown=shown, anomalies=strange))


def _unusable(shop: Workshop, claim: Claim, claimed: Claimed, kind: Kind) -> str:
    """Why this reward cannot rank now; "" when it can."""
    if kind is Kind.FEEDBACK and len(corrections(shop.registry, claim.tenant, Split.SELECT)) < MIN_CORRECTIONS:
        return f"reward feedback needs {MIN_CORRECTIONS} corrections to select by; set another learn.reward until then"
    if kind is Kind.AGREEMENT and _agreed_in_a_row(shop, claim, claimed) >= shop.settings.learn.agreement_rounds:
        return "agreement has chosen the last versions; let a reward with right answers choose the next"
    return ""


def _agreed_in_a_row(shop: Workshop, claim: Claim, claimed: Claimed) -> int:
    """How many versions, the incumbent first, were chosen by agreement: who pleases itself for long forgets truth."""
    count, version = 0, claimed.incumbent
    while version != BASE_VERSION:
        found = shop.registry.version(claim.tenant, version)
        if not str(found.lineage.get("reward", "")).startswith(Kind.AGREEMENT):
            break
        count, version = count + 1, found.parent
    return count


def _same(candidate: Candidate, candidates: Sequence[Candidate]) -> int:
    """The first candidate with this one's recipe, seeds aside."""
    recipe = replace(candidate.recipe, seed=0)
    return next(other.index for other in candidates if replace(other.recipe, seed=0) == recipe)


def _rules(shop: Workshop, claim: Claim) -> dict[str, tuple[Matcher, str]]:
    return rules_of(shop.registry, claim.tenant, _evaluation(shop, claim))


def _evaluation(shop: Workshop, claim: Claim) -> tuple[str, ...]:
    written = next(record for record in shop.registry.steps(claim.cycle) if record.step is Step.WRITE)
    return from_json(Written, written.output).evaluation


async def _kept(shop: Workshop, claim: Claim, claimed: Claimed, candidates: Sequence[Candidate]) -> Kept:
    """What was measured before; the adapters of this step are known by the engine names that they get here."""
    artifacts = {candidate_name(claim.cycle, str(c.index), artifact=c.artifact): c.artifact for c in candidates}
    if claimed.incumbent != BASE_VERSION:
        held = await asyncio.to_thread(shop.registry.version, claim.tenant, claimed.incumbent)
        artifacts[candidate_name(claim.cycle, "incumbent", artifact=held.artifact)] = held.artifact
    return kept_over(shop, claim.tenant, base_digest=claimed.base_digest, artifacts=artifacts)


async def _files(shop: Workshop, claim: Claim, label: str, *, artifact: str) -> AdapterFiles:
    path = await asyncio.to_thread(shop.registry.artifacts.directory, artifact)
    return AdapterFiles(name=candidate_name(claim.cycle, label, artifact=artifact), path=path)


async def incumbent_files(shop: Workshop, claim: Claim, claimed: Claimed) -> AdapterFiles | None:
    """Return the incumbent under a name of this cycle's: dropping it afterwards takes nothing from serving."""
    if claimed.incumbent == BASE_VERSION:
        return None
    version = await asyncio.to_thread(shop.registry.version, claim.tenant, claimed.incumbent)
    return await _files(shop, claim, "incumbent", artifact=version.artifact)


async def _items(shop: Workshop, claim: Claim, split: Split) -> tuple[QuizItem, ...]:
    items = await asyncio.to_thread(shop.registry.quiz, claim.cycle)
    return tuple(item for item in items if item.split is split)


async def _confirming(shop: Workshop, claim: Claim, claimed: Claimed) -> tuple[QuizItem, ...]:
    """The confirmation half of the quiz; all of the tenant's own questions where nothing was studied."""
    if claimed.documents:
        return await _items(shop, claim, Split.CONFIRM)
    sets = await asyncio.to_thread(_evaluation, shop, claim)
    return await asyncio.to_thread(own_questions, shop.registry, claim.tenant, sets)


async def _earlier_items(shop: Workshop, claim: Claim, claimed: Claimed) -> tuple[QuizItem, ...] | None:
    """What is asked about earlier documents, as far as it still holds; None where nothing can have been forgotten."""
    earlier = await asyncio.to_thread(earlier_material, shop, claim, claimed)
    is_all_superseded = earlier.left_out and not earlier.quiz
    if not earlier.documents or is_all_superseded:
        return None
    return tuple(item for item in earlier.quiz if item.split is Split.CONFIRM)


def _no_winner(ranked: Ranked, *, is_first: bool) -> Scorecard:
    whys = sorted({score.why for score in ranked.scores if score.why})
    nothing = Unmeasured(why="; ".join(whys) or "no candidate: too few notes or questions passed the filter")
    replay = NotApplicable(because="nothing learned earlier") if is_first else nothing
    return Scorecard(confirm=nothing, replay=replay, canary=nothing, unknown=nothing)
