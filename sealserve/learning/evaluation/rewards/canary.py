"""How canary items are scored: each by its own matcher, 1 or 0.

Text is looked at, choices are weighed, the base model judges. Knows no suite and no threshold but the one it is given.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sealserve import prompts
from sealserve.errors import CouldNotMeasure
from sealserve.grading.answers import Matcher
from sealserve.learning.engine_client import Voice
from sealserve.learning.evaluation.rewards.base import Asked
from sealserve.learning.evaluation.rewards.llm_judge import NO, YES
from sealserve.learning.study.quiz import ANSWER_TOKENS
from sealserve.prompts import UNKNOWN_ANSWER
from sealserve.records.inference import Sampling

LONG_TOKENS = 256
"""Answers that are JSON or are judged: more than the few words of a quiz answer."""

_LONG = (Matcher.JSON_SCHEMA, Matcher.JUDGE)


class Matched:
    """1 where the item's own matcher finds the answer right, else 0."""

    name = "matched"

    def __init__(self, *, min_judge_share: float) -> None:
        """Have the judge's word count only if it gets `min_judge_share` of its own test right."""
        self._min_judge_share = min_judge_share

    async def scores(self, voice: Voice, adapter: str | None, items: Sequence[Asked]) -> tuple[float, ...]:
        """As `Reward.scores`. Raises: CouldNotMeasure (the judge cannot judge, a likelihood that is not a number)."""
        await self._require_judge(voice, [item for item in items if item.matcher is Matcher.JUDGE])
        return tuple(await asyncio.gather(*(_score(voice, adapter, item) for item in items)))

    async def _require_judge(self, voice: Voice, items: Sequence[Asked]) -> None:
        """Test the judge on what it will judge: the right answer is right, and no answer is not."""
        asked = [(item, said) for item in items for said in (item.answer, UNKNOWN_ANSWER)]
        found = await asyncio.gather(*(_is_judged_right(voice, item, said) for item, said in asked))
        good = sum(is_right is (said == item.answer) for is_right, (item, said) in zip(found, asked, strict=True))
        if asked and good < self._min_judge_share * len(asked):
            raise CouldNotMeasure(
                f"the base model cannot judge these items: it is right on {good} of {len(asked)} answers whose worth "
                f"is known, {self._min_judge_share:.0%} needed; use another matcher than judge"
            )


async def _score(voice: Voice, adapter: str | None, item: Asked) -> float:
    scored = _SCORED.get(item.matcher, _by_text)
    return float(await scored(voice, adapter, item))


async def _by_text(voice: Voice, adapter: str | None, item: Asked) -> bool:
    return item.is_right(await _answer(voice, adapter, item))


async def _by_choice(voice: Voice, adapter: str | None, item: Asked) -> bool:
    """Whether log p(right answer | prompt) is above that of every other choice, each summed over its tokens."""
    found = await asyncio.gather(*(voice.log_likelihood(item.question, one, adapter=adapter) for one in item.choices))
    if not all(map(math.isfinite, found)):
        raise CouldNotMeasure("a log-likelihood is not a number")
    weighed = dict(zip(item.choices, found, strict=True))
    return all(weighed[item.answer] > value for one, value in weighed.items() if one != item.answer)


async def _by_judge(voice: Voice, adapter: str | None, item: Asked) -> bool:
    return await _is_judged_right(voice, item, await _answer(voice, adapter, item))


async def _answer(voice: Voice, adapter: str | None, item: Asked) -> str:
    usual = LONG_TOKENS if item.matcher in _LONG else ANSWER_TOKENS
    sampling = Sampling(max_tokens=item.max_tokens or usual)
    return (await voice.ask(item.question, sampling=sampling, adapter=adapter)).text


async def _is_judged_right(voice: Voice, item: Asked, given: str) -> bool:
    """Whether the base model finds yes likelier than no. An empty answer is not right, whatever it says."""
    if not given.strip():
        return False
    prompt = prompts.judge(item.question, item.answer, given)
    yes, no = await asyncio.gather(voice.log_likelihood(prompt, YES), voice.log_likelihood(prompt, NO))
    if not (math.isfinite(yes) and math.isfinite(no)):
        raise CouldNotMeasure("the judge's log-likelihood is not a number")
    return yes > no


_SCORED: Mapping[Matcher, Callable[[Voice, str | None, Asked], Awaitable[bool]]] = {
    Matcher.CHOICE: _by_choice,
    Matcher.JUDGE: _by_judge,
}
