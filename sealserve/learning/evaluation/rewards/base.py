"""The reward interface: a score for every question, asked of one adapter.

All rewards score item by item, so the same paired statistics apply to each of them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sealserve.grading.answers import Matcher, is_right_by, normalised
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study.quiz import ANSWER_TOKENS
from sealserve.records.cycles import QuizItem
from sealserve.records.inference import Sampling
from sealserve.records.rewards import RewardKind as Kind

__all__ = ["ScoredItem", "Kind", "Reward", "Rules", "scored_items", "greedy_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredItem:
    """A question to score by. `reference_text` is the right answer in the model's own words."""

    question: str
    answer: str
    reference_text: str
    matcher: Matcher = Matcher.CONTAINS
    pattern: str = ""
    tolerance: float = 0.0
    choices: tuple[str, ...] = ()
    schema: str = ""
    max_tokens: int = 0  # 0: as usual

    def is_right(self, given: str) -> bool:
        """Return whether `given` is right by the item's own rule, which must look at the text alone."""
        return is_right_by(
            self.matcher,
            given,
            gold=self.answer,
            pattern=self.pattern,
            tolerance=self.tolerance,
            schema=self.schema,
        )


class Reward(Protocol):
    """Scores answers; higher is better."""

    @property
    def name(self) -> str:
        """Its kind with all that changes its scores: measurements are kept under it."""

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> tuple[float, ...]:
        """Return one score an item, in order, for an adapter that is loaded (None: the base).

        Raises: CouldNotMeasure, and as `EngineClient.ask`.
        """


def scored_items(
    items: Sequence[QuizItem], *, reference_text: Mapping[str, str], rules: Mapping[str, tuple[Matcher, str]]
) -> tuple[ScoredItem, ...]:
    """Return `items` as rewards take them; `rules` are (matcher, pattern) by normalised question."""
    found = []
    for item in items:
        matcher, pattern = rules.get(normalised(item.question), (Matcher.CONTAINS, ""))
        text = reference_text.get(item.question, item.answer)
        found.append(
            ScoredItem(
                question=item.question, answer=item.answer, reference_text=text, matcher=matcher, pattern=pattern
            )
        )
    return tuple(found)


async def greedy_all(client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> list[str]:
    """Return the closed-book answer to each item."""
    sampling = Sampling(max_tokens=ANSWER_TOKENS)
    replies = await asyncio.gather(*(client.ask(item.question, sampling=sampling, adapter=adapter) for item in items))
    return [reply.text for reply in replies]


Rules: TypeAlias = Mapping[str, tuple[Matcher, str]]
"""Rules of tenants' own items, (matcher, pattern) by normalised question."""
