"""CLAIM: fixes the incumbent and cuts the documents into passages."""

import asyncio

from sealserve.errors import FailedPrecondition
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.journal import Done
from sealserve.learning.study.passages import cut
from sealserve.prompts import Template, study, study_freely
from sealserve.records.cycles import Claim
from sealserve.records.documents import Document
from sealserve.records.step_outputs import (
    Claimed,
    Passage,
)
from sealserve.telemetry import traceparent

MIN_PASSAGE_TOKENS = 32


async def claim_documents(context: LearnContext, client: EngineClient, claim: Claim) -> Done[Claimed]:
    """CLAIM: fix the incumbent, and cut the documents into passages that leave room for a self-edit."""
    tenant = await asyncio.to_thread(context.registry.tenants.get, claim.tenant)
    documents = await asyncio.to_thread(context.registry.cycles.documents, claim.cycle)
    overhead = await _overhead(
        client, context.settings.learn.study.recipe_of(claim.tenant)
    )  # also waits for the engine
    info = await context.engine.info()
    edit_tokens = min(context.settings.learn.study.edit_max_tokens, info.max_context_tokens // 2)
    room = info.max_context_tokens - edit_tokens - overhead
    if room < MIN_PASSAGE_TOKENS:
        raise FailedPrecondition(f"a context of {info.max_context_tokens} tokens leaves no room to study a passage")
    passages = [passage for document in documents for passage in await _cut(context, client, document, max_tokens=room)]
    kept = passages[: context.settings.learn.study.max_passages_per_cycle]
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


async def _overhead(client: EngineClient, recipe: str) -> int:
    """Return the tokens of the longest prompt around a passage, position included."""
    longest = "(part 999 of 999)"
    asked = [study(template, longest) for template in (Template.COUNTEREXAMPLE, Template.LONG)]
    counts = [
        await client.count_tokens(turn) for turn in (*asked, *([study_freely(recipe, longest)] if recipe else []))
    ]
    return max(counts)


async def _cut(
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
