"""FILTER: admits or drops every self-edit and chooses the quiz."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.journal import Done
from sealserve.learning.steps.write import read_studies
from sealserve.learning.study import filter
from sealserve.learning.study.diversity import distinct
from sealserve.learning.study.provenance_filter import guard, settle, uncontested
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.supersession import Outdated, contradictions, statements_of
from sealserve.learning.training.replay import Earlier, earlier_material, set_aside
from sealserve.records.cycles import Claim, Split
from sealserve.records.step_outputs import (
    Claimed,
    Filtered,
    Superseded,
    Written,
)
from sealserve.registry.registry import AddQuiz, AddSelfEdits


async def filter_self_edits(
    context: LearnContext, client: EngineClient, claim: Claim, claimed: Claimed, written: Written
) -> Done[Filtered]:
    """FILTER: admit or drop every note, find what is superseded, and keep the quiz apart from what is admitted."""
    notes = await asyncio.to_thread(context.registry.cycles.self_edits, claim.cycle)
    studies = await read_studies(context, claim, claimed)
    earlier = await asyncio.to_thread(earlier_material, context, claim, claimed)
    answers, found = await asyncio.gather(
        filter.open_book(client, notes, studies),
        _superseded(context, client, claim, claimed, written, earlier, studies),
    )
    sources = await asyncio.to_thread(
        _sources, context, claim, {part for one in found for part in (one.document, one.newer)}
    )
    settled, contested = settle(found, sources, agreeing=context.policy.influence.agreeing)
    superseded = tuple(one for one in settled if one.document in {*earlier.documents, *claimed.documents})
    outdated = Outdated(superseded)
    known = [note for note in earlier.notes if not outdated.spoils(note)]
    proposals = uncontested(outdated.valid(written.quiz), contested)
    screened = guard(
        filter.screen(notes, studies, answers=answers, proposals=proposals, earlier=known, superseded=superseded),
        refused=context.policy.influence.refused,
        contested=contested,
    )
    items = filter.choose_quiz(proposals, screened)
    admitted = [note.text for note in screened if note.admitted]
    reasons = Counter(note.reason for note in screened if not note.admitted)
    for reason, count in reasons.items():
        context.telemetry.metrics.self_edits(count, kept=False, reason=reason)
    context.telemetry.metrics.self_edits(len(admitted), kept=True)
    output = Filtered(
        admitted=len(admitted),
        dropped=reasons.total(),
        select=sum(item.split is Split.SELECT for item in items),
        confirm=sum(item.split is Split.CONFIRM for item in items),
        reasons=dict(sorted(reasons.items())),
        distinct=distinct(admitted),
        superseded=superseded,
        contested=contested,
    )
    return Done(output=output, effects=(AddSelfEdits(edits=screened), AddQuiz(items=items)))


async def _superseded(
    context: LearnContext,
    client: EngineClient,
    claim: Claim,
    claimed: Claimed,
    written: Written,
    earlier: Earlier,
    studies: tuple[Study, ...],
) -> tuple[Superseded, ...]:
    """Find what the cycle's documents deny: of earlier documents, learned or set aside, and of those claimed before."""
    aside = await asyncio.to_thread(set_aside, context, claim, claimed)
    asked = [((*statements_of(earlier.notes, earlier.quiz), *aside), list(studies))]
    for place, document in enumerate(claimed.documents):
        own = statements_of((), (proposal for proposal in written.quiz if proposal.document == document))
        newer = claimed.documents[place + 1 :]
        asked.append((own, [study for study in studies if study.passage.document in newer]))
    samples = context.settings.learn.quiz.samples
    found = await asyncio.gather(*(contradictions(client, told, newer, samples=samples) for told, newer in asked))
    return tuple(one for part in found for one in part)


def _sources(context: LearnContext, claim: Claim, documents: Iterable[str]) -> dict[str, str]:
    return {one: context.registry.documents.get(claim.tenant, one).source for one in documents}
