"""The first half of a cycle: documents in, candidates out. Each function is one step; `cycle.py` orders them.

Reads the registry, writes nothing: what a step leaves behind is in what it returns.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, TypeVar

import structlog

from sealserve.concurrency import first_of
from sealserve.config import LearnSettings
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import CouldNotMeasure, FailedPrecondition
from sealserve.gate.collapse import collapse
from sealserve.learning import quiz, screen, self_edits
from sealserve.learning.assignment import Start, job_of, remarks, start_of
from sealserve.learning.diversity import distinct
from sealserve.learning.editor_store import active_editor
from sealserve.learning.editors import editor_of
from sealserve.learning.given import before_quiz, given_items
from sealserve.learning.growth import growth_of, restrained
from sealserve.learning.guarding import guard, settle, uncontested
from sealserve.learning.journal import Done
from sealserve.learning.measuring import incumbent_files
from sealserve.learning.passages import cut, with_title
from sealserve.learning.recalling import recipe_again
from sealserve.learning.recipes import recipes
from sealserve.learning.rehearsing import rehearsal_of
from sealserve.learning.replay import Earlier, earlier_material, pool_of, set_aside
from sealserve.learning.self_edits import Study
from sealserve.learning.shortlist import shortlist
from sealserve.learning.superseded import Outdated, contradictions, told_by
from sealserve.learning.train_set import Pool
from sealserve.learning.trainer import TrainedAdapter
from sealserve.learning.training import TrainingJob
from sealserve.learning.voice import Voice
from sealserve.learning.workshop import Workshop
from sealserve.prompts import Template, study, study_freely
from sealserve.records.candidates import Candidate, Recipe
from sealserve.records.cycles import Claim, SelfEdit, Split
from sealserve.records.documents import Document
from sealserve.records.step_outputs import (
    Claimed,
    Filtered,
    Passage,
    Proposal,
    Spoken,
    Superseded,
    Trained,
    Trial,
    Written,
)
from sealserve.registry.registry import AddCandidates, AddQuiz, AddSelfEdits
from sealserve.telemetry import traceparent

_LOG = structlog.get_logger(__name__)

MIN_PASSAGE_TOKENS = 32

_T = TypeVar("_T")
_Work: TypeAlias = Coroutine[Any, Any, _T]


async def claim_documents(shop: Workshop, voice: Voice, claim: Claim) -> Done[Claimed]:
    """CLAIM: fix the incumbent, and cut the documents into passages that leave room for a self-edit."""
    tenant = await asyncio.to_thread(shop.registry.tenant, claim.tenant)
    documents = await asyncio.to_thread(shop.registry.cycle_documents, claim.cycle)
    overhead = await _overhead(voice, shop.settings.learn.recipe_of(claim.tenant))  # also waits for the engine
    info = await shop.engine.info()
    edit_tokens = min(shop.settings.learn.edit_max_tokens, info.max_context_tokens // 2)
    room = info.max_context_tokens - edit_tokens - overhead
    if room < MIN_PASSAGE_TOKENS:
        raise FailedPrecondition(f"a context of {info.max_context_tokens} tokens leaves no room to study a passage")
    passages = [passage for document in documents for passage in await _cut(shop, voice, document, max_tokens=room)]
    kept = passages[: shop.settings.learn.max_passages_per_cycle]
    output = Claimed(
        incumbent=tenant.desired_version,
        etag=tenant.etag,
        base_digest=info.base_digest,
        documents=tuple(document.document for document in documents),
        passages=tuple(kept),
        left_out=len(passages) - len(kept),
        edit_tokens=edit_tokens,
        traceparent=traceparent(),
    )
    return Done(output=output)


async def write(shop: Workshop, voice: Voice, claim: Claim, claimed: Claimed) -> Done[Written]:
    """WRITE: self-edits and directives by the editor, quiz proposals and old skills by the base."""
    settings = _settings(shop, claimed)
    studies = await _studies(shop, claim, claimed)
    async with editor_of(settings, voice, adapter=await _editor_files(shop, claim, claimed)) as editor:
        notes, directives, proposals, rehearsal = await _write_all(
            self_edits.write_notes(editor, studies, settings=settings, tenant=claim.tenant, cycle=claim.cycle),
            self_edits.write_directives(editor, studies, settings=settings, cycle=claim.cycle),
            quiz.propose(voice, studies, settings=settings, cycle=claim.cycle),
            rehearsal_of(shop, voice),
        )
    given = await asyncio.to_thread(given_items, shop.registry, claim.tenant, studies)
    output = Written(
        quiz=before_quiz(given.proposals, proposals, max_items=settings.max_quiz_items),
        directives=directives,
        rehearsal=rehearsal,
        evaluation=given.sets,
    )
    return Done(output=output, effects=(AddSelfEdits(edits=notes),))


async def _write_all(
    notes: _Work[tuple[SelfEdit, ...]],
    directives: _Work[tuple[str, ...]],
    proposals: _Work[tuple[Proposal, ...]],
    rehearsal: _Work[tuple[Spoken, ...]],
) -> tuple[tuple[SelfEdit, ...], tuple[str, ...], tuple[Proposal, ...], tuple[Spoken, ...]]:
    """Do all four at once; when one fails, the others are stopped. Raises: what it raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(notes),
                group.create_task(directives),
                group.create_task(proposals),
                group.create_task(rehearsal),
            )
    except BaseExceptionGroup as failures:
        raise first_of(failures) from None
    written, wished, proposed, rehearsed = tasks
    return written.result(), wished.result(), proposed.result(), rehearsed.result()


async def screen_notes(
    shop: Workshop, voice: Voice, claim: Claim, claimed: Claimed, written: Written
) -> Done[Filtered]:
    """FILTER: admit or drop every note, find what is superseded, and keep the quiz apart from what is admitted."""
    notes = await asyncio.to_thread(shop.registry.self_edits, claim.cycle)
    studies = await _studies(shop, claim, claimed)
    earlier = await asyncio.to_thread(earlier_material, shop, claim, claimed)
    answers, found = await asyncio.gather(
        screen.open_book(voice, notes, studies), _superseded(shop, voice, claim, claimed, written, earlier, studies)
    )
    sources = await asyncio.to_thread(
        _sources, shop, claim, {part for one in found for part in (one.document, one.newer)}
    )
    settled, contested = settle(found, sources, agreeing=shop.policy.influence.agreeing)
    superseded = tuple(one for one in settled if one.document in {*earlier.documents, *claimed.documents})
    outdated = Outdated(superseded)
    known = [note for note in earlier.notes if not outdated.spoils(note)]
    proposals = uncontested(outdated.valid(written.quiz), contested)
    screened = guard(
        screen.screen(notes, studies, answers=answers, proposals=proposals, earlier=known, superseded=superseded),
        refused=shop.policy.influence.refused,
        contested=contested,
    )
    items = screen.choose_quiz(proposals, screened)
    admitted = [note.text for note in screened if note.admitted]
    reasons = Counter(note.reason for note in screened if not note.admitted)
    for reason, count in reasons.items():
        shop.telemetry.metrics.self_edits(count, kept=False, reason=reason)
    shop.telemetry.metrics.self_edits(len(admitted), kept=True)
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


async def train(
    shop: Workshop, voice: Voice, claim: Claim, claimed: Claimed, written: Written, filtered: Filtered
) -> Done[Trained]:
    """TRAIN: every candidate, from the base or the incumbent, on the new documents and on all that still holds.

    Of many, only those are trained in full that a short training speaks for (`shortlist.py`). With nothing to learn
    from or nothing to measure by, no candidate is trained. Raises: CouldNotMeasure (the self-edits have collapsed).
    """
    digest = shop.settings.digest()
    if not filtered.admitted or not filtered.select or not filtered.confirm:
        return Done(output=Trained(candidates=(), directives=(), settings_digest=digest))
    if fault := collapse(filtered.distinct, shop.policy.diversity):
        raise CouldNotMeasure(fault)
    earlier = await asyncio.to_thread(earlier_material, shop, claim, claimed)
    pool = await asyncio.to_thread(pool_of, shop, claim, claimed, written, earlier)
    start = await asyncio.to_thread(start_of, shop, claim, claimed)
    chosen, notes = await _chosen(shop, claim, written, pool, start=start)
    job = job_of(shop, pool, chosen, base_digest=claimed.base_digest, start=start)
    heard = partial(_LOG.info, "cycle.training", cycle=claim.cycle)
    items = [one for one in await asyncio.to_thread(shop.registry.quiz, claim.cycle) if one.split is Split.SELECT]
    spoken = {proposal.question: proposal.spoken for proposal in written.quiz}
    listed = await shortlist(shop, voice, claim, job, pool, items, spoken=spoken, heard=heard)
    job = replace(job, attempts=listed.attempts)
    trained = await shop.trainer.train(job, shop.work_directory(claim.cycle), heard=heard)
    candidates = await asyncio.to_thread(_kept, shop, claim, trained, chosen)
    output = Trained(
        candidates=tuple(candidate.index for candidate in candidates),
        directives=notes,
        settings_digest=digest,
        trials=tuple(_trial(adapter, pool, job) for adapter in trained),
        short_trials=listed.trials,
        remarks=(*remarks(shop, claimed, earlier, pool, start=start), *listed.remarks),
        tokens=listed.tokens + sum(adapter.tokens for adapter in trained),
    )
    return Done(output=output, effects=(AddCandidates(candidates=candidates),))


async def _chosen(
    shop: Workshop, claim: Claim, written: Written, pool: Pool, *, start: Start | None
) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """Return the recipes to try, each as training so long needs it, and what became of the editor's wishes.

    What is taught again after forgetting is trained as it was, with the same seed, and otherwise never.
    """
    if again := await asyncio.to_thread(recipe_again, shop, claim):
        return (replace(again, rank=start.rank, alpha=start.alpha) if start else again,), ()
    info = await shop.engine.info()
    chosen, notes = recipes(
        shop.settings.learn,
        written.directives,
        tenant=claim.tenant,
        cycle=claim.cycle,
        max_rank=info.max_rank or shop.settings.learn.rank,
        start=start,
    )
    growth = growth_of(pool, is_rebuilt=start is None)
    return tuple(restrained(recipe, growth) for recipe in chosen), notes


def _kept(
    shop: Workshop, claim: Claim, trained: Iterable[TrainedAdapter], chosen: tuple[Recipe, ...]
) -> tuple[Candidate, ...]:
    """Put every adapter into the artifact store and return the candidates."""
    return tuple(
        Candidate(
            cycle=claim.cycle,
            index=adapter.index,
            recipe=chosen[adapter.index],
            artifact=shop.registry.artifacts.put_directory(adapter.path),
            final_loss=adapter.final_loss,
            seconds=adapter.seconds,
        )
        for adapter in trained
    )


def _trial(adapter: TrainedAdapter, pool: Pool, job: TrainingJob) -> Trial:
    attempt = next(attempt for attempt in job.attempts if attempt.index == adapter.index)
    seen = [pool.examples[place] for place in sorted(set(attempt.order))]
    return Trial(
        index=adapter.index,
        losses=adapter.losses,
        self_edits=tuple(sorted({note for example in seen if example.document in pool.new for note in example.notes})),
        drift=adapter.drift,
        weight_change=adapter.weight_change,
    )


def _settings(shop: Workshop, claimed: Claimed) -> LearnSettings:
    return shop.settings.learn.model_copy(update={"edit_max_tokens": claimed.edit_tokens})


async def _editor_files(shop: Workshop, claim: Claim, claimed: Claimed) -> AdapterFiles | None:
    """The adapter of the editor that the settings name, under a name of this cycle's; None: none is needed."""
    if shop.settings.learn.editor == "tenant":
        return await incumbent_files(shop, claim, claimed)
    if shop.settings.learn.editor != "trained":
        return None
    return await asyncio.to_thread(active_editor, shop, claim.tenant, cycle=claim.cycle)


async def _overhead(voice: Voice, recipe: str) -> int:
    """Return the tokens of the longest prompt around a passage, position included."""
    longest = "(part 999 of 999)"
    asked = [study(template, longest) for template in (Template.COUNTEREXAMPLE, Template.LONG)]
    counts = [await voice.count_tokens(turn) for turn in (*asked, *([study_freely(recipe, longest)] if recipe else []))]
    return max(counts)


async def _cut(shop: Workshop, voice: Voice, document: Document, *, max_tokens: int) -> tuple[Passage, ...]:
    text = await asyncio.to_thread(shop.registry.document_text, document.tenant, document.document)
    room = max(MIN_PASSAGE_TOKENS, max_tokens - await voice.count_tokens(document.title))
    return await cut(
        document.document,
        title=document.title,
        text=text,
        max_tokens=room,
        count=voice.count_tokens,
        media_type=document.media_type,
    )


async def _superseded(
    shop: Workshop,
    voice: Voice,
    claim: Claim,
    claimed: Claimed,
    written: Written,
    earlier: Earlier,
    studies: tuple[Study, ...],
) -> tuple[Superseded, ...]:
    """Find what the cycle's documents deny: of earlier documents, learned or set aside, and of those claimed before."""
    aside = await asyncio.to_thread(set_aside, shop, claim, claimed)
    asked = [((*told_by(earlier.notes, earlier.quiz), *aside), list(studies))]
    for place, document in enumerate(claimed.documents):
        own = told_by((), (proposal for proposal in written.quiz if proposal.document == document))
        newer = claimed.documents[place + 1 :]
        asked.append((own, [study for study in studies if study.passage.document in newer]))
    samples = shop.settings.learn.quiz_samples
    found = await asyncio.gather(*(contradictions(voice, told, newer, samples=samples) for told, newer in asked))
    return tuple(one for part in found for one in part)


def _sources(shop: Workshop, claim: Claim, documents: Iterable[str]) -> dict[str, str]:
    return {one: shop.registry.document(claim.tenant, one).source for one in documents}


async def _studies(shop: Workshop, claim: Claim, claimed: Claimed) -> tuple[Study, ...]:
    texts = {
        document: await asyncio.to_thread(shop.registry.document_text, claim.tenant, document)
        for document in claimed.documents
    }
    return tuple(
        Study(passage=passage, text=with_title(passage.title, texts[passage.document][passage.start : passage.end]))
        for passage in claimed.passages
    )
