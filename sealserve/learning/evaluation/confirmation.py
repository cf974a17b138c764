"""The winner's scorecard: paired comparisons with the incumbent on confirmation items."""

import zlib
from collections.abc import Callable, Mapping, Sequence
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


async def confirm(
    client: EngineClient,
    winner: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    earlier: Sequence[QuizItem] | None,
    probes: Probes,
    confidence: float,
    rules: Rules | None = None,
    kept: ScoreCache | None = None,
    own: Mapping[str, Suite] | None = None,
) -> Scorecard:
    """Return the winner's paired scores against the incumbent, closed book and greedy, both asked together.

    `earlier` are confirmation items of documents learned before; None when there are no such documents. `own` are
    canary suites, by "name@version".
    """
    contains, known = GradedAnswers(Kind.CONTAINS), rules or {}
    suites = [
        Suite(reward=contains, items=scored_items(items, spoken={}, rules=known)),
        Suite(reward=contains, items=scored_items(_sampled(earlier or ()), spoken={}, rules=known)),
        Suite(reward=contains, items=tuple(_asked(p.question, p.answer) for p in probes.canary)),
        Suite(reward=SaysUnknown(), items=tuple(_asked(question, "") for question in probes.unknown)),
        *(own or {}).values(),
    ]
    mine, theirs = await score_matrix(client, [winner, incumbent], suites, kept=kept)
    new, replay, canary, unknown, *others = (
        _compared(*sides, confidence=confidence) for sides in zip(mine, theirs, strict=True)
    )
    return Scorecard(
        confirm=new,
        replay=NotApplicable(because="nothing learned earlier") if earlier is None else replay,
        canary=canary,
        unknown=unknown,
        suites=dict(zip(own or {}, others, strict=True)),
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
    """Return the paired comparison of greedy answers; unmeasured when there is nothing to ask or nobody to ask."""
    suite = Suite(reward=_Given(grades), items=tuple(_asked(question, "") for question in questions))
    (mine,), (theirs,) = await score_matrix(client, [candidate, incumbent], [suite])
    return _compared(mine, theirs, confidence=confidence)


def states(answer: str) -> Grade:
    """Return the grade that asks for `answer`."""
    return lambda given: is_right(given, answer)


class _Given:
    """The greedy answer by a grade of each item's own."""

    name = "given"

    def __init__(self, grades: Sequence[Grade]) -> None:
        self._grades = grades

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> Scores:
        answers = await greedy_all(client, adapter, items)
        return tuple(float(grade(answer)) for grade, answer in zip(self._grades, answers, strict=True))


def _asked(question: str, answer: str) -> ScoredItem:
    return ScoredItem(question=question, answer=answer, spoken=answer)


def _compared(mine: Scores | Failed, theirs: Scores | Failed, *, confidence: float) -> Score:
    if isinstance(mine, Failed):
        return Unmeasured(why=mine.why)
    if isinstance(theirs, Failed):
        return Unmeasured(why=f"the incumbent could not be measured: {theirs.why}")
    return compare([one > 0 for one in mine], [one > 0 for one in theirs], confidence=confidence)


def _sampled(items: Sequence[QuizItem]) -> list[QuizItem]:
    """At most MAX_REPLAY_ITEMS, the same at every call, every document in turn."""
    turns: dict[str, list[QuizItem]] = {}
    for item in sorted(items, key=lambda item: zlib.crc32(item.question.encode())):
        turns.setdefault(item.document, []).append(item)
    rounds = max(map(len, turns.values()), default=0)
    mixed = [members[i] for i in range(rounds) for _, members in sorted(turns.items()) if i < len(members)]
    return mixed[:MAX_REPLAY_ITEMS]
