"""What is rehearsed beside new documents: old questions with the base model's own answers. Knows no tenant."""

import asyncio

from sealserve.canaries.probes import Probes
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.prompts import UNKNOWN_ANSWER
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import ReferenceAnswer

REHEARSAL_TOKENS = 48


async def ask_retention_set(context: LearnContext, client: EngineClient) -> tuple[ReferenceAnswer, ...]:
    """Return what cycles over the base that is served now rehearse; each base is asked once while this process runs."""
    base = (await context.engine.info()).base_digest
    if base not in context.rehearsals:
        context.rehearsals[base] = await rehearse(client, context.probes)
    return context.rehearsals[base]


async def rehearse(client: EngineClient, probes: Probes) -> tuple[ReferenceAnswer, ...]:
    """Return old questions with the base's own answers, and "I don't know" for what nobody knows."""
    sampling = Sampling(max_tokens=REHEARSAL_TOKENS)
    answers = await asyncio.gather(*(client.ask(question, sampling=sampling) for question in probes.rehearsed))
    known = [
        ReferenceAnswer(prompt=question, completion=answer.text)
        for question, answer in zip(probes.rehearsed, answers, strict=True)
        if answer.text.strip()
    ]
    return (
        *known,
        *(ReferenceAnswer(prompt=question, completion=UNKNOWN_ANSWER) for question in probes.rehearsed_unknown),
    )
