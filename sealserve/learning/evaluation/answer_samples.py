"""Answer samples: a few answers of the incumbent and the winner, for the person who decides on a held version.

They are for reading only; no score is computed from them.
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
"""The most samples that are shown."""


async def sample_answers(
    client: EngineClient,
    winner: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    rules: Mapping[str, tuple[Matcher, str]],
) -> tuple[AnswerSample, ...]:
    """Return both adapters' closed-book greedy answers to the first questions; () if one of them cannot be asked."""
    chosen = items[:MOST]
    questions = scored_items(chosen, reference_text={}, rules=dict(rules))
    try:
        before = await _ask(client, incumbent, questions)
        after = await _ask(client, winner, questions)
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
        for item, rule, old, new in zip(chosen, questions, before, after, strict=True)
    )


async def _ask(client: EngineClient, files: AdapterFiles | None, questions: Sequence[ScoredItem]) -> list[str]:
    async with client.loaded(files) as name:
        return await greedy_all(client, name, questions)
