"""The self-consistency reward: how often sampled answers to a question agree. It needs no right answer.

A model that always gives the same answer agrees with itself perfectly, so collapsed answers count as not measured, and
`learn.reward.consistency_rounds` bounds how many versions in a row this reward may choose. (Majority votes as a reward:
TTRL, arXiv 2504.16084.)
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from math import log

from sealserve.errors import CouldNotMeasure
from sealserve.grading.answers import is_unknown, normalised
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.evaluation.rewards.base import Kind, ScoredItem
from sealserve.learning.study.quiz import ANSWER_TOKENS
from sealserve.records.inference import Sampling

TEMPERATURE = 0.8

MIN_ENTROPY_SHARE = 0.25
"""Entropy of all answers, as a share of what as many different right answers as there are would have: below it
different questions get the same answers. One answer for half of many questions and its own for each other passes."""


class SelfConsistency:
    """The share of `samples` answers that say what most of them say; "I don't know" agrees with nothing."""

    def __init__(self, *, samples: int) -> None:
        self.name = f"{Kind.SELF_CONSISTENCY}:{samples}"
        self._samples = samples

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> tuple[float, ...]:
        """As `Reward.scores`. Raises: CouldNotMeasure (the answers have collapsed)."""
        rows = await asyncio.gather(
            *(self._sample(client, adapter, item.question, draw) for item in items for draw in range(self._samples))
        )
        by_item = [rows[at : at + self._samples] for at in range(0, len(rows), self._samples)]
        known = [answer for answers in by_item for answer in answers if not is_unknown(answer)]
        distinct = len({normalised(item.answer) for item in items})
        if known and distinct > 1 and (entropy := entropy_share(known, distinct=distinct)) < MIN_ENTROPY_SHARE:
            raise CouldNotMeasure(f"sampled answers have collapsed: {entropy:.2f} of the entropy of the right ones")
        return tuple(map(_largest_share, by_item))

    async def _sample(self, client: EngineClient, adapter: str | None, question: str, draw: int) -> str:
        sampling = Sampling(
            max_tokens=ANSWER_TOKENS, temperature=TEMPERATURE, seed=seed_of("agreement", question, draw)
        )
        return normalised((await client.ask(question, sampling=sampling, adapter=adapter)).text)


def entropy_share(answers: Sequence[str], *, distinct: int) -> float:
    """Return the Shannon entropy of `answers` as a share of log `distinct`, at most 1; 0 when all are the same."""
    counts, n = Counter(answers).values(), len(answers)
    entropy = -sum(count / n * log(count / n) for count in counts)
    return min(1.0, entropy / log(distinct))


def _largest_share(answers: Sequence[str]) -> float:
    known = Counter(answer for answer in answers if not is_unknown(answer))
    return max(known.values(), default=0) / len(answers)
