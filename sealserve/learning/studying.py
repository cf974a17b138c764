"""The first half of a cycle: documents in, candidates out. Each function is one step; `cycle.py` orders them.

Reads the registry, writes nothing: what a step leaves behind is in what it returns.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import partial

import structlog

from sealserve.config import LearnSettings
from sealserve.engine.engine import Sampling
from sealserve.errors import FailedPrecondition, TrainingFailed
from sealserve.learning import quiz, screen, self_edits
from sealserve.learning.journal import Done
from sealserve.learning.outputs import Claimed, Filtered, Passage, Spoken, Trained, Trial, Written
from sealserve.learning.passages import cut, split_spans
from sealserve.learning.recipes import recipes
from sealserve.learning.self_edits import Study
from sealserve.learning.train_set import Pool, Source, build_pool, order, steps_for
from sealserve.learning.trainer import TrainedAdapter
from sealserve.learning.training import Attempt, Sequence, TrainingJob
from sealserve.learning.voice import Voice
from sealserve.learning.workshop import Workshop
from sealserve.prompts import UNKNOWN_ANSWER, Template, study
from sealserve.records import BASE_VERSION, Candidate, Claim, Document, Recipe, SelfEdit, Split
from sealserve.registry.registry import AddCandidates, AddQuiz, AddSelfEdits
from sealserve.telemetry import traceparent

_LOG = structlog.get_logger(__name__)

MIN_PASSAGE_TOKENS = 32
REHEARSAL_TOKENS = 48
EARLIER_PASSAGE_CHARACTERS = 1500
"""Replayed documents' own text is trained in pieces of about this size."""


async def claim_documents(shop: Workshop, voice: Voice, claim: Claim) -> Done[Claimed]:
    """CLAIM: fix the incumbent, and cut the documents into passages that leave room for a self-edit."""
    tenant = await asyncio.to_thread(shop.registry.tenant, claim.tenant)
    documents = await asyncio.to_thread(shop.registry.cycle_documents, claim.cycle)
    overhead = await voice.count_tokens(study(Template.COUNTEREXAMPLE, ""))  # also waits for the engine
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
    """WRITE: self-edits, quiz proposals, directives, and what the base says about old skills."""
    settings = _settings(shop, claimed)
    studies = await _studies(shop, claim, claimed)
    notes, proposals, directives, rehearsal = await asyncio.gather(
        self_edits.write_notes(voice, studies, settings=settings, tenant=claim.tenant, cycle=claim.cycle),
        quiz.propose(voice, studies, settings=settings, cycle=claim.cycle),
        self_edits.write_directives(voice, studies, settings=settings, cycle=claim.cycle),
        _rehearsal(shop, voice),
    )
    output = Written(quiz=proposals, directives=directives, rehearsal=rehearsal)
    return Done(output=output, effects=(AddSelfEdits(edits=notes),))


async def screen_notes(
    shop: Workshop, voice: Voice, claim: Claim, claimed: Claimed, written: Written
) -> Done[Filtered]:
    """FILTER: admit or drop every note, and keep the quiz apart from what is admitted."""
    notes = await asyncio.to_thread(shop.registry.self_edits, claim.cycle)
    studies = await _studies(shop, claim, claimed)
    answers = await screen.open_book(voice, notes, studies)
    screened = screen.screen(notes, studies, answers=answers, proposals=written.quiz)
    items = screen.choose_quiz(written.quiz, screened)
    reasons = Counter(note.reason for note in screened if not note.admitted)
    for reason, count in reasons.items():
        shop.telemetry.metrics.self_edits(count, kept=False, reason=reason)
    shop.telemetry.metrics.self_edits(len(screened) - reasons.total(), kept=True)
    output = Filtered(
        admitted=len(screened) - reasons.total(),
        dropped=reasons.total(),
        select=sum(item.split is Split.SELECT for item in items),
        confirm=sum(item.split is Split.CONFIRM for item in items),
        reasons=dict(sorted(reasons.items())),
    )
    return Done(output=output, effects=(AddSelfEdits(edits=screened), AddQuiz(items=items)))


async def train(
    shop: Workshop, voice: Voice, claim: Claim, claimed: Claimed, written: Written, filtered: Filtered
) -> Done[Trained]:
    """TRAIN: every candidate, from the base, on the new documents and on all that the incumbent holds.

    With nothing to learn from or nothing to measure by, no candidate is trained.
    """
    digest = shop.settings.digest()
    if not filtered.admitted or not filtered.select or not filtered.confirm:
        return Done(output=Trained(candidates=(), directives=(), settings_digest=digest))
    pool = await asyncio.to_thread(_pool, shop, claim, claimed, written)
    info = await shop.engine.info()
    chosen, notes = recipes(
        shop.settings.learn, written.directives, cycle=claim.cycle, max_rank=info.max_rank or shop.settings.learn.rank
    )
    job = _job(shop, pool, chosen, base_digest=claimed.base_digest)
    trained = await shop.trainer.train(
        job, shop.work_directory(claim.cycle), heard=partial(_LOG.info, "cycle.training", cycle=claim.cycle)
    )
    candidates = await asyncio.to_thread(_kept, shop, claim, trained, chosen)
    output = Trained(
        candidates=tuple(candidate.index for candidate in candidates),
        directives=notes,
        settings_digest=digest,
        trials=tuple(_trial(adapter, pool, job) for adapter in trained),
    )
    return Done(output=output, effects=(AddCandidates(candidates=candidates),))


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
        drift=None,
        weight_change=None,
    )


def _settings(shop: Workshop, claimed: Claimed) -> LearnSettings:
    return shop.settings.learn.model_copy(update={"edit_max_tokens": claimed.edit_tokens})


async def _cut(shop: Workshop, voice: Voice, document: Document, *, max_tokens: int) -> tuple[Passage, ...]:
    text = await asyncio.to_thread(shop.registry.document_text, document.tenant, document.document)
    room = max(MIN_PASSAGE_TOKENS, max_tokens - await voice.count_tokens(document.title))
    return await cut(document.document, title=document.title, text=text, max_tokens=room, count=voice.count_tokens)


async def _studies(shop: Workshop, claim: Claim, claimed: Claimed) -> tuple[Study, ...]:
    texts = {
        document: await asyncio.to_thread(shop.registry.document_text, claim.tenant, document)
        for document in claimed.documents
    }
    return tuple(
        Study(passage=passage, text=_with_title(passage.title, texts[passage.document][passage.start : passage.end]))
        for passage in claimed.passages
    )


def _with_title(title: str, text: str) -> str:
    begins = text.lstrip().lstrip("#").lstrip()
    return text.strip() if begins.startswith(title) else f"{title}\n{text.strip()}"


async def _rehearsal(shop: Workshop, voice: Voice) -> tuple[Spoken, ...]:
    """Old questions with the base's own answers (self-distillation), and "I don't know" for what nobody knows."""
    asked = shop.probes.rehearsed
    answers = await asyncio.gather(*(voice.ask(q, sampling=Sampling(max_tokens=REHEARSAL_TOKENS)) for q in asked))
    known = [Spoken(prompt=q, completion=a.text) for q, a in zip(asked, answers, strict=True) if a.text.strip()]
    unknown = [Spoken(prompt=q, completion=UNKNOWN_ANSWER) for q in shop.probes.rehearsed_unknown]
    return (*known, *unknown)


def _pool(shop: Workshop, claim: Claim, claimed: Claimed, written: Written) -> Pool:
    registry, tenant = shop.registry, claim.tenant
    admitted = [note for note in registry.self_edits(claim.cycle) if note.admitted]
    earlier: tuple[str, ...] = ()
    replayed: tuple[SelfEdit, ...] = ()
    if claimed.incumbent != BASE_VERSION:
        earlier = registry.version(tenant, claimed.incumbent).documents
        replayed = registry.learned_self_edits(tenant, claimed.incumbent)
    return build_pool(
        [_source(shop, tenant, document, admitted) for document in claimed.documents],
        [_source(shop, tenant, document, replayed) for document in earlier if document not in claimed.documents],
        rehearsal=written.rehearsal,
    )


def _source(shop: Workshop, tenant: str, document: str, notes: tuple[SelfEdit, ...] | list[SelfEdit]) -> Source:
    text = shop.registry.document_text(tenant, document)
    spans = split_spans(text, max_characters=EARLIER_PASSAGE_CHARACTERS)
    return Source(
        document=document,
        title=shop.registry.document(tenant, document).title,
        passages=tuple(text[start:end].strip() for start, end in spans),
        notes=tuple(note for note in notes if note.document == document),
    )


def _job(shop: Workshop, pool: Pool, chosen: tuple[Recipe, ...], *, base_digest: str) -> TrainingJob:
    attempts = []
    for index, recipe in enumerate(chosen):
        steps = steps_for(pool, recipe, max_steps=shop.settings.learn.max_steps)
        attempts.append(Attempt(index=index, recipe=recipe, steps=steps, order=order(pool, recipe, steps=steps)))
    if not all(attempt.order for attempt in attempts):
        raise TrainingFailed("a recipe leaves nothing to train on")
    return TrainingJob(
        base_directory=shop.base_directory,
        base_digest=base_digest,
        sequences=tuple(
            Sequence(prompt=e.prompt, completion=e.completion, is_kept=not e.document) for e in pool.examples
        ),
        attempts=tuple(attempts),
    )
