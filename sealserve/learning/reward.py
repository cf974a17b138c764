"""Measuring candidates: a ranking score for each, and the winner's scorecard.

Selection items rank and confirmation items confirm, never both. What cannot be measured says why; it is never a
zero. Knows nothing of thresholds.
"""

import asyncio
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sealserve.engine.engine import AdapterFiles, Sampling
from sealserve.errors import BadAdapter, DeadlineExceeded, EngineFailed, InvalidArgument, NotFound
from sealserve.gate.canary import Probes
from sealserve.gate.grade import is_right, is_unknown
from sealserve.gate.statistics import bootstrap_mean, compare
from sealserve.learning.outputs import Ranked, RankScore
from sealserve.learning.quiz import ANSWER_TOKENS
from sealserve.learning.voice import Voice, seed_of
from sealserve.records import NotApplicable, QuizItem, Score, Scorecard, Unmeasured

Grade: TypeAlias = Callable[[str], bool]

FLOOR_NATS = -5.0
"""Log-likelihoods below this count as this, so that no single item moves the mean by more than 5 nats: how impossible
an answer was before says nothing about how well it is known now."""

MAX_REPLAY_ITEMS = 48

UNMEASURABLE = (BadAdapter, EngineFailed, DeadlineExceeded, InvalidArgument, NotFound)
"""What makes one measurement impossible. An engine that is away is waited for instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A candidate to measure."""

    index: int
    files: AdapterFiles


async def rank(
    voice: Voice,
    contenders: Sequence[Contender],
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    spoken: Mapping[str, str],
    confidence: float,
) -> Ranked:
    """Return each contender's mean gain in log p(answer | question) over the incumbent, and the best one.

    `spoken` gives the answer to each question in the model's own words. Each log p is clipped from below; log p of the
    right answer is the likelihood reward that worked everywhere in arXiv 2602.03979. One contender that cannot be
    measured does not stop the others.
    """
    if not items:
        return Ranked(scores=tuple(_unranked(c.index, "no selection questions") for c in contenders), winner=None)
    asked = [(item.question, spoken.get(item.question, item.answer)) for item in items]
    try:
        baseline = await _likelihoods(voice, incumbent, asked)
    except UNMEASURABLE as error:
        why = f"the incumbent could not be measured: {error.message}"
        return Ranked(scores=tuple(_unranked(c.index, why) for c in contenders), winner=None)
    scores = [await _gain(voice, c, asked, baseline=baseline, confidence=confidence) for c in contenders]
    measured = [(score.rank_score, -score.index) for score in scores if score.rank_score is not None]
    return Ranked(scores=tuple(scores), winner=-max(measured)[1] if measured else None)


async def confirm(
    voice: Voice,
    winner: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    earlier: Sequence[QuizItem] | None,
    probes: Probes,
    confidence: float,
) -> Scorecard:
    """Return the winner's paired scores against the incumbent, closed book and greedy.

    `earlier` are confirmation items of documents learned before; None when there are no such documents.
    """

    async def score(questions: Sequence[str], grades: Sequence[Grade]) -> Score:
        return await paired(
            voice, winner, incumbent=incumbent, questions=questions, grades=grades, confidence=confidence
        )

    replayed = _sampled(earlier or ())
    return Scorecard(
        confirm=await score([i.question for i in items], [states(i.answer) for i in items]),
        replay=NotApplicable(because="nothing learned earlier")
        if earlier is None
        else await score([i.question for i in replayed], [states(i.answer) for i in replayed]),
        canary=await score([p.question for p in probes.canary], [states(p.answer) for p in probes.canary]),
        unknown=await score(probes.unknown, [is_unknown] * len(probes.unknown)),
    )


async def paired(
    voice: Voice,
    candidate: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    questions: Sequence[str],
    grades: Sequence[Grade],
    confidence: float,
) -> Score:
    """Return the paired comparison of greedy answers; unmeasured when there is nothing to ask or nobody to ask."""
    if not questions:
        return Unmeasured(why="no questions")
    try:
        async with voice.loaded(candidate) as mine, voice.loaded(incumbent) as theirs:
            given = await asyncio.gather(*(_answer(voice, q, mine) for q in questions))
            before = await asyncio.gather(*(_answer(voice, q, theirs) for q in questions))
    except UNMEASURABLE as error:
        return Unmeasured(why=error.message)
    return compare(
        [grade(answer) for grade, answer in zip(grades, given, strict=True)],
        [grade(answer) for grade, answer in zip(grades, before, strict=True)],
        confidence=confidence,
    )


def states(answer: str) -> Grade:
    """Return the grade that asks for `answer`."""
    return lambda given: is_right(given, answer)


def _sampled(items: Sequence[QuizItem]) -> list[QuizItem]:
    """At most MAX_REPLAY_ITEMS, the same at every call, every document in turn."""
    turns: dict[str, list[QuizItem]] = {}
    for item in sorted(items, key=lambda item: zlib.crc32(item.question.encode())):
        turns.setdefault(item.document, []).append(item)
    rounds = max(map(len, turns.values()), default=0)
    mixed = [members[i] for i in range(rounds) for _, members in sorted(turns.items()) if i < len(members)]
    return mixed[:MAX_REPLAY_ITEMS]


async def _answer(voice: Voice, question: str, adapter: str | None) -> str:
    reply = await voice.ask(question, sampling=Sampling(max_tokens=ANSWER_TOKENS), adapter=adapter)
    return reply.text


async def _gain(
    voice: Voice,
    contender: Contender,
    asked: Sequence[tuple[str, str]],
    *,
    baseline: Sequence[float],
    confidence: float,
) -> RankScore:
    try:
        mine = await _likelihoods(voice, contender.files, asked)
    except UNMEASURABLE as error:
        return _unranked(contender.index, error.message)
    if not all(map(math.isfinite, (*mine, *baseline))):
        return _unranked(contender.index, "a log-likelihood is not a number")
    gains = [max(a, FLOOR_NATS) - max(b, FLOOR_NATS) for a, b in zip(mine, baseline, strict=True)]
    low, high = bootstrap_mean(gains, confidence=confidence, seed=seed_of("rank", contender.index))
    return RankScore(
        index=contender.index, rank_score=sum(gains) / len(gains), low=low, high=high, n=len(gains), why=""
    )


async def _likelihoods(voice: Voice, files: AdapterFiles | None, asked: Sequence[tuple[str, str]]) -> list[float]:
    async with voice.loaded(files) as name:
        return await asyncio.gather(*(voice.log_likelihood(q, answer, adapter=name) for q, answer in asked))


def _unranked(index: int, why: str) -> RankScore:
    return RankScore(index=index, rank_score=None, low=None, high=None, n=0, why=why)
