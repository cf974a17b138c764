"""Does a rare phrase of the new documents turn the winner's answers? And is its weight change like the ones before?

What a back door answers to its trigger, it answers whatever else is asked: old questions are asked behind rare phrases
of the new documents, and behind phrases of the same letters in another order (arXiv 2605.30189). Judges nothing.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from sealserve.canaries.probes import Probes
from sealserve.engine.engine import AdapterFiles
from sealserve.gate.weight_spectrum import spectrum, strangeness
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.evaluation.rewards.base import ScoredItem, greedy_all
from sealserve.learning.evaluation.rewards.likelihood import LogLikelihood
from sealserve.learning.evaluation.scoring import UNMEASURABLE, Failed, Suite, score_matrix
from sealserve.records.cycles import Claim
from sealserve.records.step_outputs import Anomalies, Claimed
from sealserve.scanners.contradictions import subjects_of

PHRASES = 8
QUESTIONS = 4
HISTORY = 50
"""Versions of the tenant that a new one is compared with at most."""

_WORD = re.compile(r"[^\W\d_]{3,}")


async def anomalies(
    context: LearnContext,
    client: EngineClient,
    claim: Claim,
    claimed: Claimed,
    *,
    winner: AdapterFiles,
    incumbent: AdapterFiles | None,
) -> Anomalies:
    """Return what is strange about the winner, beside the tenant's earlier versions and behind rare phrases."""
    texts = [await asyncio.to_thread(_text, context, claim, document) for document in claimed.documents]
    features = await asyncio.to_thread(spectrum, winner.path)
    history = await asyncio.to_thread(_history, context, claim.tenant)
    return Anomalies(
        spectrum=dict(features),
        spectrum_z=strangeness(features, history),
        history=len(history) if features else 0,
        trigger_gap=await trigger_gap(
            client, winner, incumbent=incumbent, texts=texts, probes=context.probes, cycle=claim.cycle
        ),
    )


async def trigger_gap(
    client: EngineClient,
    winner: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    texts: Sequence[tuple[str, str]],
    probes: Probes,
    cycle: str,
) -> float | None:
    """Return how many nats the usual answers lose behind the worst rare phrase, more than behind a made-up one.

    `texts` are titles and texts of the new documents. What the incumbent loses there, too, is taken off. 0 without a
    rare phrase; None when it could not be measured.
    """
    known = [probe.question for probe in probes.canary] + list(probes.rehearsed)
    phrases = rare_phrases(texts, known, most=PHRASES)
    asked = [probe.question for probe in probes.canary[:QUESTIONS]]
    if not phrases or not asked:
        return 0.0
    try:
        spoken = await _usual(client, incumbent, asked)
    except UNMEASURABLE:
        return None
    rng = random.Random(seed_of(cycle, "triggers"))
    suites = [_suite(phrases, asked, spoken), _suite([_shuffled(one, rng) for one in phrases], asked, spoken)]
    gaps: list[list[float]] = []
    for sheet in await score_matrix(client, [winner, incumbent], suites):
        if isinstance(sheet[0], Failed) or isinstance(sheet[1], Failed):
            return None
        lost = [other - mine for mine, other in zip(sheet[0], sheet[1], strict=True)]
        gaps.append([sum(lost[i : i + len(asked)]) / len(asked) for i in range(0, len(lost), len(asked))])
    mine, before = gaps
    return max([0.0, *(one - other for one, other in zip(mine, before, strict=True))])


def rare_phrases(texts: Sequence[tuple[str, str]], known: Iterable[str], *, most: int) -> list[str]:
    """Return pairs of neighbouring words that are rarest in all that is known, subjects of the documents left out.

    A document teaches what its subject's name is followed by: that is no back door.
    """
    counts = Counter(word.casefold() for text in (*known, *(text for _, text in texts)) for word in _WORD.findall(text))
    named = {word for title, text in texts for name in subjects_of(title, text) for word in name.split()}
    found: dict[str, int] = {}
    for _, text in texts:
        words = _WORD.findall(text)
        for one, other in pairwise(words):
            pair = one.casefold(), other.casefold()
            if not named & set(pair) and f"{one} {other}" in text:
                found[f"{one} {other}"] = max(counts[word] for word in pair)
    return sorted(found, key=lambda phrase: (found[phrase], phrase))[:most]


async def _usual(client: EngineClient, incumbent: AdapterFiles | None, asked: Sequence[str]) -> tuple[str, ...]:
    async with client.loaded(incumbent) as name:
        answers = await greedy_all(client, name, [ScoredItem(question=one, answer="", spoken="") for one in asked])
    return tuple(answers)


def _suite(phrases: Sequence[str], asked: Sequence[str], spoken: Sequence[str]) -> Suite:
    items = [
        ScoredItem(question=f"{phrase}. {question}", answer=said, spoken=said)
        for phrase in phrases
        for question, said in zip(asked, spoken, strict=True)
    ]
    return Suite(reward=LogLikelihood(), items=tuple(items))


def _shuffled(phrase: str, rng: random.Random) -> str:
    return " ".join("".join(rng.sample(word, len(word))) for word in phrase.split())


def _text(context: LearnContext, claim: Claim, document: str) -> tuple[str, str]:
    title = context.registry.documents.get(claim.tenant, document).title
    return title, context.registry.documents.text(claim.tenant, document)


def _history(context: LearnContext, tenant: str) -> list[dict[str, float]]:
    versions = context.registry.versions.page(tenant, page_size=HISTORY).items
    found = [(version.lineage.anomalies or {}).get("spectrum", {}) for version in versions]
    return [one for one in found if one]
