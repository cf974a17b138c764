"""Looks for a back door in the winner: in its answers behind rare phrases, and in the spectrum of its weight change.

A back door answers its trigger in the same way whatever else is asked. Known questions are therefore asked behind rare
phrases of the new documents, and behind phrases of the same letters in another order (arXiv 2605.30189).
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
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.evaluation.rewards.base import ScoredItem, greedy_all
from sealserve.learning.evaluation.rewards.likelihood import LogLikelihood
from sealserve.learning.evaluation.scoring import UNMEASURABLE, Failed, Suite, score_matrix
from sealserve.records.cycles import Claim
from sealserve.records.step_outputs import Anomalies
from sealserve.registry.registry import Registry
from sealserve.scanners.contradictions import subjects_of

PHRASES = 8
QUESTIONS = 4
HISTORY = 50
"""The most versions of the tenant that a new one is compared with."""

_WORD = re.compile(r"[^\W\d_]{3,}")


async def find_anomalies(
    registry: Registry,
    client: EngineClient,
    claim: Claim,
    *,
    documents: Sequence[str],
    probes: Probes,
    winner: AdapterFiles,
    incumbent: AdapterFiles | None,
) -> Anomalies:
    """Return how far the winner's weights differ from the tenant's earlier versions, and its trigger gap."""
    texts = [await asyncio.to_thread(_read_text, registry, claim.tenant, document) for document in documents]
    features = await asyncio.to_thread(spectrum, winner.path)
    history = await asyncio.to_thread(_read_spectra, registry, claim.tenant)
    return Anomalies(
        spectrum=dict(features),
        spectrum_z=strangeness(features, history),
        history=len(history) if features else 0,
        trigger_gap=await trigger_gap(
            client, winner, incumbent=incumbent, texts=texts, probes=probes, cycle=claim.cycle
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
    """Return how many nats more the incumbent's answers lose behind the worst rare phrase than behind a shuffled one.

    `texts` are titles and texts of the new documents. The incumbent's own loss is subtracted. 0 without a rare phrase;
    None if it could not be measured.
    """
    known = [probe.question for probe in probes.canary] + list(probes.rehearsed)
    phrases = rare_phrases(texts, known, most=PHRASES)
    questions = [probe.question for probe in probes.canary[:QUESTIONS]]
    if not phrases or not questions:
        return 0.0
    try:
        answers = await _ask_incumbent(client, incumbent, questions)
    except UNMEASURABLE:
        return None
    rng = random.Random(seed_of(cycle, "triggers"))
    shuffled = [_shuffle_letters(phrase, rng) for phrase in phrases]
    suites = [_suite(phrases, questions, answers), _suite(shuffled, questions, answers)]
    gaps: list[list[float]] = []
    for sheet in await score_matrix(client, [winner, incumbent], suites):
        if isinstance(sheet[0], Failed) or isinstance(sheet[1], Failed):
            return None
        lost = [other - mine for mine, other in zip(sheet[0], sheet[1], strict=True)]
        n = len(questions)
        gaps.append([sum(lost[i : i + n]) / n for i in range(0, len(lost), n)])
    mine, before = gaps
    return max([0.0, *(gap - usual for gap, usual in zip(mine, before, strict=True))])


def rare_phrases(texts: Sequence[tuple[str, str]], known: Iterable[str], *, most: int) -> list[str]:
    """Return the pairs of adjacent words that are rarest in `known` and `texts`, without the documents' subjects.

    A document teaches what follows its subject's name: that is no back door.
    """
    counts = Counter(word.casefold() for text in (*known, *(text for _, text in texts)) for word in _WORD.findall(text))
    named = {word for title, text in texts for name in subjects_of(title, text) for word in name.split()}
    found: dict[str, int] = {}
    for _, text in texts:
        words = _WORD.findall(text)
        for first, second in pairwise(words):
            pair = first.casefold(), second.casefold()
            if not named & set(pair) and f"{first} {second}" in text:
                found[f"{first} {second}"] = max(counts[word] for word in pair)
    return sorted(found, key=lambda phrase: (found[phrase], phrase))[:most]


async def _ask_incumbent(
    client: EngineClient, incumbent: AdapterFiles | None, questions: Sequence[str]
) -> tuple[str, ...]:
    items = [ScoredItem(question=question, answer="", reference_text="") for question in questions]
    async with client.loaded(incumbent) as name:
        return tuple(await greedy_all(client, name, items))


def _suite(phrases: Sequence[str], questions: Sequence[str], answers: Sequence[str]) -> Suite:
    items = [
        ScoredItem(question=f"{phrase}. {question}", answer=answer, reference_text=answer)
        for phrase in phrases
        for question, answer in zip(questions, answers, strict=True)
    ]
    return Suite(reward=LogLikelihood(is_summed=True), items=tuple(items))


def _shuffle_letters(phrase: str, rng: random.Random) -> str:
    return " ".join("".join(rng.sample(word, len(word))) for word in phrase.split())


def _read_text(registry: Registry, tenant: str, document: str) -> tuple[str, str]:
    title = registry.documents.get(tenant, document).title
    return title, registry.documents.text(tenant, document)


def _read_spectra(registry: Registry, tenant: str) -> list[dict[str, float]]:
    versions = registry.versions.page(tenant, page_size=HISTORY).items
    found = [(version.lineage.anomalies or {}).get("spectrum", {}) for version in versions]
    return [features for features in found if features]
