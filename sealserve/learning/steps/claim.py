"""CLAIM: fixes the incumbent that candidates are compared with, and cuts the documents into passages."""

import asyncio

from sealserve import prompts
from sealserve.errors import FailedPrecondition
from sealserve.learning.context import LearnContext
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.journal import Done
from sealserve.learning.study.passages import cut
from sealserve.prompts import Template
from sealserve.records.documents import Document
from sealserve.records.step_outputs import Claimed, Passage
from sealserve.telemetry import traceparent

MIN_PASSAGE_TOKENS = 32


async def claim_documents(run: CycleRun) -> Done[Claimed]:
    """CLAIM: record the incumbent and the passages to study, each short enough to leave room for a self-edit.

    Raises: FailedPrecondition (the model's context is too small for any passage).
    """
    context, client, claim = run.context, run.client, run.claim
    study = context.settings.learn.study
    tenant = await asyncio.to_thread(context.registry.tenants.get, claim.tenant)
    documents = await asyncio.to_thread(context.registry.cycles.documents, claim.cycle)
    overhead = await _count_prompt_tokens(client, study.recipe_of(claim.tenant))  # awaits the engine
    info = await context.engine.info()
    edit_tokens = min(study.edit_max_tokens, info.max_context_tokens // 2)
    room = min(study.passage_tokens, info.max_context_tokens - edit_tokens - overhead)
    if room < MIN_PASSAGE_TOKENS:
        raise FailedPrecondition(f"a context of {info.max_context_tokens} tokens leaves no room to study a passage")
    passages = [
        passage for document in documents for passage in await _cut_document(context, client, document, max_tokens=room)
    ]
    studied = passages[: study.max_passages_per_cycle]
    output = Claimed(
        incumbent=tenant.desired_version,
        etag=tenant.etag,
        base_digest=info.base_digest,
        documents=tuple(document.document for document in documents),
        passages=tuple(studied),
        left_out=len(passages) - len(studied),
        edit_tokens=edit_tokens,
        traceparent=traceparent(),
    )
    return Done(output=output)


async def _count_prompt_tokens(client: EngineClient, recipe: str) -> int:
    """Return the tokens of the longest study prompt without its passage, the passage's position included."""
    longest = "(part 999 of 999)"
    tasks = [
        prompts.study(template, longest, dialect=client.dialect)
        for template in (Template.COUNTEREXAMPLE, Template.LONG, Template.QA)
    ]
    tasks.append(prompts.ask_for_orders(longest, dialect=client.dialect))
    if recipe:
        tasks.append(prompts.study_freely(recipe, longest, dialect=client.dialect))
    return max([await client.count_tokens(task) for task in tasks])


async def _cut_document(
    context: LearnContext, client: EngineClient, document: Document, *, max_tokens: int
) -> tuple[Passage, ...]:
    text = await asyncio.to_thread(context.registry.documents.text, document.tenant, document.document)
    room = max(MIN_PASSAGE_TOKENS, max_tokens - await client.count_tokens(document.title))
    return await cut(
        document.document,
        title=document.title,
        text=text,
        max_tokens=room,
        count=client.count_tokens,
        media_type=document.media_type,
    )
