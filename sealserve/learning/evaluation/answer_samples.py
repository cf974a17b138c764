"""A few answers side by side, before and after, for the person who decides on a held version.

For reading only: no score comes from them. Knows nothing of approvals.
"""

from collections.abc import Mapping, Sequence

from sealserve.engine.engine import AdapterFiles
from sealserve.grading.answers import Matcher
from sealserve.learning.engine_client import Voice
from sealserve.learning.evaluation.rewards.base import Asked, asked_of, greedy_all
from sealserve.learning.evaluation.scoring import UNMEASURABLE
from sealserve.records.cycles import QuizItem
from sealserve.records.step_outputs import ShownAnswer

MOST = 10
"""Answers that a person reads."""


async def shown_answers(
    voice: Voice,
    winner: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    rules: Mapping[str, tuple[Matcher, str]],
) -> tuple[ShownAnswer, ...]:
    """Return what both say to the first questions, closed book and greedy; () when one of them cannot be asked."""
    chosen = items[:MOST]
    asked = asked_of(chosen, spoken={}, rules=dict(rules))
    try:
        before = await _said(voice, incumbent, asked)
        after = await _said(voice, winner, asked)
    except UNMEASURABLE:
        return ()
    return tuple(
        ShownAnswer(
            document=item.document,
            question=item.question,
            expected=item.answer,
            before=old,
            after=new,
            was_right=rule.is_right(old),
            is_right=rule.is_right(new),
        )
        for item, rule, old, new in zip(chosen, asked, before, after, strict=True)
    )


async def _said(voice: Voice, files: AdapterFiles | None, asked: Sequence[Asked]) -> list[str]:
    async with voice.loaded(files) as name:
        return await greedy_all(voice, name, asked)
