"""The retention set: everyday requests with the base model's own answers, trained on beside new documents."""

import asyncio

from sealserve.canaries.probes import Probes
from sealserve.learning.engine_client import EngineClient
from sealserve.prompts import UNKNOWN_ANSWER, Dialect
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import ReferenceAnswer

ANSWER_TOKENS = 48


async def ask_retention_set(
    client: EngineClient, probes: Probes, *, cache: dict[str, tuple[ReferenceAnswer, ...]]
) -> tuple[ReferenceAnswer, ...]:
    """Return the retention set of the base model that is served now; `cache` keeps it by the base's digest."""
    base = await client.base_digest()
    if base not in cache:
        cache[base] = await _ask_base(client, probes)
    return cache[base]


async def _ask_base(client: EngineClient, probes: Probes) -> tuple[ReferenceAnswer, ...]:
    """Return requests with the base's answers, and unanswerable questions with "I don't know".

    Any instruct model abstains in its own words, which training along others' would not keep: it answers both kinds.
    """
    sampling = Sampling(max_tokens=ANSWER_TOKENS)
    is_general = client.dialect is Dialect.GENERAL
    asked = (*probes.rehearsed, *probes.rehearsed_unknown) if is_general else probes.rehearsed
    answers = await asyncio.gather(*(client.ask(question, sampling=sampling) for question in asked))
    known = [
        ReferenceAnswer(prompt=question, completion=answer.text)
        for question, answer in zip(asked, answers, strict=True)
        if answer.text.strip()
    ]
    if is_general:
        return tuple(known)
    return (
        *known,
        *(ReferenceAnswer(prompt=question, completion=UNKNOWN_ANSWER) for question in probes.rehearsed_unknown),
    )
