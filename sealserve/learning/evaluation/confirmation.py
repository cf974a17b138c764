"""The winner's scorecard: paired comparisons with the incumbent on confirmation items."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sealserve.canaries.probes import Probes
from sealserve.engine.engine import AdapterFiles
from sealserve.gate.statistics import compare
from sealserve.grading.answers import is_right
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.rewards.base import Kind, Rules, ScoredItem, greedy_all, scored_items
from sealserve.learning.evaluation.rewards.graded import GradedAnswers, SaysUnknown
from sealserve.learning.evaluation.scoring import Failed, ScoreCache, Scores, Suite, score_matrix
from sealserve.records.cycles import QuizItem
from sealserve.records.scores import NotApplicable, Score, Scorecard, Unmeasured

Grade: TypeAlias = Callable[[str], bool]


MAX_REPLAY_ITEMS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationInputs:
    """What the winner is confirmed on.

    `earlier` are confirmation items of documents learned before; None if there are no such documents. `suites` are
    canary suites by "name@version".
    """

    incumbent: AdapterFiles | None
    items: Sequence[QuizItem]
    earlier: Sequence[QuizItem] | None
    probes: Probes
    rules: Rules = field(default_factory=dict)
    suites: Mapping[str, Suite] = field(default_factory=dict)


async def confirm(
    client: EngineClient,
    winner: AdapterFiles,
    inputs: ConfirmationInputs,
    *,
    confidence: float,
    cache: ScoreCache | None = None,
) -> Scorecard:
    """Return the winner's paired scores against the incumbent, closed book and greedy, both asked concurrently."""
    contains, probes = GradedAnswers(Kind.CONTAINS), inputs.probes
    earlier = _sample_items(inputs.earlier or ())
    suites = [
        Suite(reward=contains, items=scored_items(inputs.items, reference_text={}, rules=inputs.rules)),
        Suite(reward=contains, items=scored_items(earlier, reference_text={}, rules=inputs.rules)),
        Suite(reward=contains, items=tuple(_scored_item(p.question, p.answer) for p in probes.canary)),
        Suite(reward=SaysUnknown(), items=tuple(_scored_item(question, "") for question in probes.unknown)),
        *inputs.suites.values(),
    ]
    mine, theirs = await score_matrix(client, [winner, inputs.incumbent], suites, cache=cache)
    new, replay, canary, unknown, *others = (
        _compare(*sides, confidence=confidence) for sides in zip(mine, theirs, strict=True)
    )
    return Scorecard(
        confirm=new,
        replay=NotApplicable(because="nothing learned earlier") if inputs.earlier is None else replay,
        canary=canary,
        unknown=unknown,
        suites=dict(zip(inputs.suites, others, strict=True)),
    )


async def paired(
    client: EngineClient,
    candidate: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    questions: Sequence[str],
    grades: Sequence[Grade],
    confidence: float,
) -> Score:
    """Return the paired comparison of greedy answers; unmeasured without questions or if an adapter cannot be asked."""
    suite = Suite(reward=_OwnGrades(grades), items=tuple(_scored_item(question, "") for question in questions))
    (mine,), (theirs,) = await score_matrix(client, [candidate, incumbent], [suite])
    return _compare(mine, theirs, confidence=confidence)


def states(answer: str) -> Grade:
    """Return the grade that passes what states `answer`."""
    return lambda given: is_right(given, answer)


class _OwnGrades:
    """The greedy answer, graded by each item's own rule."""

    name = "given"

    def __init__(self, grades: Sequence[Grade]) -> None:
        self._grades = grades

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> Scores:
        answers = await greedy_all(client, adapter, items)
        return tuple(float(grade(answer)) for grade, answer in zip(self._grades, answers, strict=True))


def _scored_item(question: str, answer: str) -> ScoredItem:
    return ScoredItem(question=question, answer=answer, reference_text=answer)


def _compare(mine: Scores | Failed, theirs: Scores | Failed, *, confidence: float) -> Score:
    if isinstance(mine, Failed):
        return Unmeasured(why=mine.why)
    if isinstance(theirs, Failed):
        return Unmeasured(why=f"the incumbent could not be measured: {theirs.why}")
    return compare([score > 0 for score in mine], [score > 0 for score in theirs], confidence=confidence)


def _sample_items(items: Sequence[QuizItem]) -> list[QuizItem]:
    """Return at most MAX_REPLAY_ITEMS, the same at every call, from each document in turn."""
    turns: dict[str, list[QuizItem]] = {}
    for item in sorted(items, key=lambda item: zlib.crc32(item.question.encode())):
        turns.setdefault(item.document, []).append(item)
    rounds = max(map(len, turns.values()), default=0)
    mixed = [members[i] for i in range(rounds) for _, members in sorted(turns.items()) if i < len(members)]
    return mixed[:MAX_REPLAY_ITEMS]
