"""Scores canary items 1 or 0, each by its own matcher: text rules, likelihood of choices, or the base as judge."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sealserve import prompts
from sealserve.errors import CouldNotMeasure
from sealserve.grading.answers import Matcher
from sealserve.learning.engine_client import NO, YES, EngineClient
from sealserve.learning.evaluation.rewards.base import ScoredItem
from sealserve.learning.study.quiz import ANSWER_TOKENS
from sealserve.prompts import UNKNOWN_ANSWER
from sealserve.records.inference import Sampling

LONG_TOKENS = 256
"""Answers that are JSON or are judged: more than the few words of a quiz answer."""

_LONG = (Matcher.JSON_SCHEMA, Matcher.JUDGE)


class CanaryMatch:
    """1 where the item's own matcher finds the answer right, else 0."""

    name = "matched"

    def __init__(self, *, min_judge_share: float) -> None:
        """Have the judge's word count only if it gets `min_judge_share` of its own test right."""
        self._min_judge_share = min_judge_share

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> tuple[float, ...]:
        """As `Reward.scores`. Raises: CouldNotMeasure (the judge cannot judge, a likelihood that is not a number)."""
        await self._require_judge(client, [item for item in items if item.matcher is Matcher.JUDGE])
        return tuple(await asyncio.gather(*(_score(client, adapter, item) for item in items)))

    async def _require_judge(self, client: EngineClient, items: Sequence[ScoredItem]) -> None:
        """Test the judge on what it will judge: the right answer is right, and no answer is not."""
        cases = [(item, answer) for item in items for answer in (item.answer, UNKNOWN_ANSWER)]
        found = await asyncio.gather(*(_is_judged_right(client, item, answer) for item, answer in cases))
        good = sum(is_right is (answer == item.answer) for is_right, (item, answer) in zip(found, cases, strict=True))
        if cases and good < self._min_judge_share * len(cases):
            raise CouldNotMeasure(
                f"the base model cannot judge these items: it is right on {good} of {len(cases)} answers whose worth "
                f"is known, {self._min_judge_share:.0%} needed; use another matcher than judge"
            )


async def _score(client: EngineClient, adapter: str | None, item: ScoredItem) -> float:
    scored = _SCORED.get(item.matcher, _by_text)
    return float(await scored(client, adapter, item))


async def _by_text(client: EngineClient, adapter: str | None, item: ScoredItem) -> bool:
    return item.is_right(await _answer(client, adapter, item))


async def _by_choice(client: EngineClient, adapter: str | None, item: ScoredItem) -> bool:
    """Whether log p(right answer | prompt) is above that of every other choice, each summed over its tokens."""
    found = await asyncio.gather(*(client.log_likelihood(item.question, one, adapter=adapter) for one in item.choices))
    if not all(map(math.isfinite, found)):
        raise CouldNotMeasure("a log-likelihood is not a number")
    weighed = dict(zip(item.choices, found, strict=True))
    return all(weighed[item.answer] > value for one, value in weighed.items() if one != item.answer)


async def _by_judge(client: EngineClient, adapter: str | None, item: ScoredItem) -> bool:
    return await _is_judged_right(client, item, await _answer(client, adapter, item))


async def _answer(client: EngineClient, adapter: str | None, item: ScoredItem) -> str:
    usual = LONG_TOKENS if item.matcher in _LONG else ANSWER_TOKENS
    sampling = Sampling(max_tokens=item.max_tokens or usual)
    return (await client.ask(item.question, sampling=sampling, adapter=adapter)).text


async def _is_judged_right(client: EngineClient, item: ScoredItem, given: str) -> bool:
    """Whether the base model finds yes likelier than no. An empty answer is not right, whatever it says."""
    if not given.strip():
        return False
    prompt = prompts.judge(item.question, item.answer, given, dialect=client.dialect)
    yes, no = await asyncio.gather(client.log_likelihood(prompt, YES), client.log_likelihood(prompt, NO))
    if not (math.isfinite(yes) and math.isfinite(no)):
        raise CouldNotMeasure("the judge's log-likelihood is not a number")
    return yes > no


_SCORED: Mapping[Matcher, Callable[[EngineClient, str | None, ScoredItem], Awaitable[bool]]] = {
    Matcher.CHOICE: _by_choice,
    Matcher.JUDGE: _by_judge,
}
