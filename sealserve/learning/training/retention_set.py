"""What is rehearsed beside new documents: old questions with the base model's own answers. Knows no tenant."""

import asyncio

from sealserve.canaries.probes import Probes
from sealserve.learning.context import Workshop
from sealserve.learning.engine_client import Voice
from sealserve.prompts import UNKNOWN_ANSWER
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Spoken

REHEARSAL_TOKENS = 48


async def rehearsal_of(shop: Workshop, voice: Voice) -> tuple[Spoken, ...]:
    """Return what cycles over the base that is served now rehearse; each base is asked once while this process runs."""
    base = (await shop.engine.info()).base_digest
    if base not in shop.rehearsals:
        shop.rehearsals[base] = await rehearse(voice, shop.probes)
    return shop.rehearsals[base]


async def rehearse(voice: Voice, probes: Probes) -> tuple[Spoken, ...]:
    """Return old questions with the base's own answers, and "I don't know" for what nobody knows."""
    sampling = Sampling(max_tokens=REHEARSAL_TOKENS)
    answers = await asyncio.gather(*(voice.ask(question, sampling=sampling) for question in probes.rehearsed))
    known = [
        Spoken(prompt=question, completion=answer.text)
        for question, answer in zip(probes.rehearsed, answers, strict=True)
        if answer.text.strip()
    ]
    return (*known, *(Spoken(prompt=question, completion=UNKNOWN_ANSWER) for question in probes.rehearsed_unknown))
