"""A few answers side by side, before and after, for the person who decides on a held version.

For reading only: no score comes from them. Knows nothing of approvals.
"""

from collections.abc import Mapping, Sequence

from sealserve.engine.engine import AdapterFiles
from sealserve.grading.answers import Matcher
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.rewards.base import ScoredItem, greedy_all, scored_items
from sealserve.learning.evaluation.scoring import UNMEASURABLE
from sealserve.records.cycles import QuizItem
from sealserve.records.step_outputs import AnswerSample

MOST = 10
"""Answers that a person reads."""


async def shown_answers(
    client: EngineClient,
    winner: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    rules: Mapping[str, tuple[Matcher, str]],
) -> tuple[AnswerSample, ...]:
    """Return what both say to the first questions, closed book and greedy; () when one of them cannot be asked."""
    chosen = items[:MOST]
    asked = scored_items(chosen, spoken={}, rules=dict(rules))
    try:
        before = await _said(client, incumbent, asked)
        after = await _said(client, winner, asked)
    except UNMEASURABLE:
        return ()
    return tuple(
        AnswerSample(
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


async def _said(client: EngineClient, files: AdapterFiles | None, asked: Sequence[ScoredItem]) -> list[str]:
    async with client.loaded(files) as name:
        return await greedy_all(client, name, asked)
