"""The second half of a cycle: candidates in, a scorecard out. Each function is one step; `cycle.py` orders them.

Reads the registry, writes nothing.
"""

import asyncio

from sealserve.engine.engine import AdapterFiles
from sealserve.learning.journal import Done
from sealserve.learning.outputs import Claimed, Confirmed, Ranked, Written
from sealserve.learning.replay import earlier_material
from sealserve.learning.reward import Contender, confirm, rank
from sealserve.learning.voice import Voice, candidate_name
from sealserve.learning.workshop import Workshop
from sealserve.records import BASE_VERSION, Claim, NotApplicable, QuizItem, Scorecard, Split, Unmeasured


async def rank_candidates(
    shop: Workshop, voice: Voice, claim: Claim, claimed: Claimed, written: Written
) -> Done[Ranked]:
    """RANK: every candidate against the incumbent on the selection half of the quiz."""
    candidates = await asyncio.to_thread(shop.registry.candidates, claim.cycle)
    contenders = [
        Contender(index=c.index, files=await _files(shop, claim, str(c.index), artifact=c.artifact)) for c in candidates
    ]
    output = await rank(
        voice,
        contenders,
        incumbent=await incumbent_files(shop, claim, claimed),
        items=await _items(shop, claim, Split.SELECT),
        spoken={proposal.question: proposal.spoken for proposal in written.quiz},
        confidence=shop.policy.confidence,
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
    card = await confirm(
        voice,
        await _files(shop, claim, str(winner.index), artifact=winner.artifact),
        incumbent=await incumbent_files(shop, claim, claimed),
        items=await _items(shop, claim, Split.CONFIRM),
        earlier=await _earlier_items(shop, claim, claimed),
        probes=shop.probes,
        confidence=shop.policy.confidence,
    )
    return Done(output=Confirmed(scorecard=card))


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
