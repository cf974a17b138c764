"""The winner's scorecard: paired comparisons with the incumbent on confirmation items."""

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sealserve import prompts
from sealserve.canaries.probes import Probes
from sealserve.engine.engine import AdapterFiles
from sealserve.gate.retest import RETESTS, TEMPERATURE, is_right_mostly, seemingly_lost
from sealserve.gate.statistics import compare
from sealserve.grading.answers import is_right
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.evaluation.overrides import CANARY, UNKNOWN
from sealserve.learning.evaluation.rewards.base import Kind, Rules, ScoredItem, greedy_all, scored_items
from sealserve.learning.evaluation.rewards.graded import GradedAnswers, SaysUnknown
from sealserve.learning.evaluation.scoring import UNMEASURABLE, Failed, ScoreCache, Scores, Suite, score_matrix
from sealserve.records.cycles import QuizItem
from sealserve.records.scores import NotApplicable, Score, Scorecard, Unmeasured

Grade: TypeAlias = Callable[[str], bool]


MAX_REPLAY_ITEMS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationInputs:
    """What the winner is confirmed on.

    `passages` has the passage that answers each of `items`, in order; () if there are none. `earlier` are confirmation
    items of documents learned before; None if there are no such documents. `suites` are canary suites by
    "name@version"; in those of `retested`, answers that seem lost are asked for again. `excused` are the questions of
    each suite that the cycle's documents override, `excused_before` those that earlier ones do.
    """

    incumbent: AdapterFiles | None
    items: Sequence[QuizItem]
    earlier: Sequence[QuizItem] | None
    probes: Probes
    rules: Rules = field(default_factory=dict)
    suites: Mapping[str, Suite] = field(default_factory=dict)
    passages: Sequence[str] = ()
    retested: Set[str] = frozenset()
    excused: Mapping[str, Set[str]] = field(default_factory=dict)
    excused_before: Mapping[str, Set[str]] = field(default_factory=dict)


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
    (mine, theirs), open_book = await asyncio.gather(
        score_matrix(client, [winner, inputs.incumbent], suites, cache=cache),
        _open_book_share(client, suites[0].items, inputs.passages, cache=cache),
    )
    facts = [_facts_of(inputs.items), _facts_of(earlier)]
    new, replay = (
        _compare(*sides, confidence=confidence, facts=of) for *sides, of in zip(mine, theirs, facts, strict=False)
    )
    others = {}
    named = {CANARY: suites[2], UNKNOWN: suites[3], **inputs.suites}
    for (name, suite), *sides in zip(named.items(), mine[len(facts) :], theirs[len(facts) :], strict=True):
        if name in inputs.retested:
            settled = await _retest(client, [winner, inputs.incumbent], suite, sides)
            others[name] = _compare(*settled, confidence=confidence)
        else:
            others[name] = _compare_excused(name, suite, sides, inputs, confidence=confidence)
    canary, unknown = others.pop(CANARY), others.pop(UNKNOWN)
    return Scorecard(
        confirm=new,
        replay=NotApplicable(because="nothing learned earlier") if inputs.earlier is None else replay,
        canary=canary,
        unknown=unknown,
        suites=others,
        open_book=open_book,
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


async def _open_book_share(
    client: EngineClient, items: Sequence[ScoredItem], passages: Sequence[str], *, cache: ScoreCache | None
) -> float | None:
    """Return the share that the base answers right with the passage at hand; None if it cannot be measured."""
    if not items or len(passages) != len(items):
        return None
    opened = tuple(
        replace(item, question=prompts.read(passage, item.question))
        for item, passage in zip(items, passages, strict=True)
    )
    suite = Suite(reward=GradedAnswers(Kind.CONTAINS), items=opened)
    ((scores,),) = await score_matrix(client, [None], [suite], cache=cache)
    return None if isinstance(scores, Failed) else sum(score > 0 for score in scores) / len(scores)


async def _retest(
    client: EngineClient,
    adapters: Sequence[AdapterFiles | None],
    suite: Suite,
    sheets: Sequence[Scores | Failed],
) -> list[Scores | Failed]:
    """Return the candidate's and the incumbent's scores with the answers that seem lost as most of several are.

    What cannot be asked again stays lost.
    """
    mine, theirs = sheets
    if isinstance(mine, Failed) or isinstance(theirs, Failed):
        return [mine, theirs]
    places = seemingly_lost(mine, theirs)
    asked = Suite(reward=suite.reward, items=tuple(suite.items[place] for place in places))
    try:
        again = [await _ask_again(client, files, asked) for files in adapters] if places else []
    except UNMEASURABLE:
        return [mine, theirs]
    settled: list[Scores | Failed] = []
    for first, rows in zip((mine, theirs), again or ([], []), strict=True):
        scores = list(first)
        for column, place in enumerate(places):
            scores[place] = float(is_right_mostly(first[place], [row[column] for row in rows]))
        settled.append(tuple(scores))
    return settled


async def _ask_again(client: EngineClient, files: AdapterFiles | None, suite: Suite) -> list[Scores]:
    """Return RETESTS sheets of scores of sampled answers."""
    async with client.loaded(files) as name:
        return await asyncio.gather(
            *(
                suite.reward.scores(
                    client.resampled(temperature=TEMPERATURE, seed=seed_of("retest", turn)), name, suite.items
                )
                for turn in range(RETESTS)
            )
        )


def _facts_of(items: Sequence[QuizItem]) -> list[tuple[str, str]]:
    return [(item.document, item.fact or item.question) for item in items]


def _compare(
    mine: Scores | Failed,
    theirs: Scores | Failed,
    *,
    confidence: float,
    facts: Sequence[tuple[str, str]] | None = None,
) -> Score:
    if isinstance(mine, Failed):
        return Unmeasured(why=mine.why)
    if isinstance(theirs, Failed):
        return Unmeasured(why=f"the incumbent could not be measured: {theirs.why}")
    return compare([score > 0 for score in mine], [score > 0 for score in theirs], confidence=confidence, facts=facts)


def _compare_excused(
    name: str, suite: Suite, sides: Sequence[Scores | Failed], inputs: ConfirmationInputs, *, confidence: float
) -> Score:
    """Return the comparison on the items of the suite that no document overrides."""
    mine, theirs = sides
    if isinstance(mine, Failed) or isinstance(theirs, Failed):
        return _compare(mine, theirs, confidence=confidence)
    now, before = inputs.excused.get(name, frozenset()), inputs.excused_before.get(name, frozenset())
    questions = [item.question for item in suite.items]
    kept = [place for place, question in enumerate(questions) if question not in now and question not in before]
    excused = sum(question in now for question in questions)
    if not kept:
        return Unmeasured(why="documents override every answer")
    score = compare([mine[place] > 0 for place in kept], [theirs[place] > 0 for place in kept], confidence=confidence)
    return replace(score, excused=excused, excused_before=len(questions) - len(kept) - excused)


def _sample_items(items: Sequence[QuizItem]) -> list[QuizItem]:
    """Return at most MAX_REPLAY_ITEMS, the same at every call, from each document in turn, on new facts first."""
    turns: dict[str, list[QuizItem]] = {}
    asked: Counter[tuple[str, str]] = Counter()
    rows: list[tuple[int, int, QuizItem]] = []
    for item in sorted(items, key=lambda item: zlib.crc32(item.question.encode())):
        fact = item.document, item.fact or item.question
        rows.append((asked[fact], len(rows), item))
        asked[fact] += 1
    for *_, item in sorted(rows, key=lambda row: row[:2]):
        turns.setdefault(item.document, []).append(item)
    rounds = max(map(len, turns.values()), default=0)
    mixed = [members[i] for i in range(rounds) for _, members in sorted(turns.items()) if i < len(members)]
    return mixed[:MAX_REPLAY_ITEMS]
