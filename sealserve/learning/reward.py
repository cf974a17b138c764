"""Measuring candidates: a ranking score for each, and the winner's scorecard.

Selection items rank and confirmation items confirm, never both. What cannot be measured says why; it is never a
zero. Knows nothing of thresholds.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sealserve.canaries.probes import Probes
from sealserve.engine.engine import AdapterFiles
from sealserve.gate.reliability import reliability, standard_error
from sealserve.gate.statistics import bootstrap_mean, compare
from sealserve.grading.answers import Matcher, is_right
from sealserve.learning.rewards.answers import GradedAnswers, SaysUnknown
from sealserve.learning.rewards.kinds import Asked, Kind, Reward, asked_of, greedy_all
from sealserve.learning.rewards.likelihood import FLOOR_NATS, LogLikelihood
from sealserve.learning.sheets import Failed, Kept, Scores, Suite, score_sheets
from sealserve.learning.voice import Voice, seed_of
from sealserve.records.cycles import QuizItem
from sealserve.records.scores import NotApplicable, Score, Scorecard, Unmeasured
from sealserve.records.step_outputs import Ranked, RankScore

__all__ = ["FLOOR_NATS", "Contender", "Grade", "choose", "confirm", "nothing_ranked", "paired", "rank", "states"]

Grade: TypeAlias = Callable[[str], bool]

Rules: TypeAlias = Mapping[str, tuple[Matcher, str]]
"""Rules of tenants' own items, (matcher, pattern) by normalised question."""

MAX_REPLAY_ITEMS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A candidate to measure. `recipe` is the same for candidates that differ in their seed alone."""

    index: int
    files: AdapterFiles
    recipe: int | None = None  # None: a recipe of its own


async def rank(
    voice: Voice,
    contenders: Sequence[Contender],
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    spoken: Mapping[str, str],
    confidence: float,
    reward: Reward | None = None,
    rules: Rules | None = None,
    kept: Kept | None = None,
) -> Ranked:
    """Return each contender's mean gain over the incumbent by `reward` (likelihood if None), and the winner.

    All are asked together. `spoken` gives the answer to each question in the model's own words. One contender that
    cannot be measured does not stop the others. The best one wins if it stands out from the group, else the first.
    """
    chosen = reward or LogLikelihood()
    if not items:
        return nothing_ranked([c.index for c in contenders], chosen, "no selection questions")
    suite = Suite(reward=chosen, items=asked_of(items, spoken=spoken, rules=rules or {}))
    sides = [incumbent, *(contender.files for contender in contenders)]
    baseline, *theirs = [sheet[0] for sheet in await score_sheets(voice, sides, [suite], kept=kept)]
    if isinstance(baseline, Failed):
        why = f"the incumbent could not be measured: {baseline.why}"
        return nothing_ranked([c.index for c in contenders], chosen, why)
    gains = {
        contender.index: [mine - before for mine, before in zip(scores, baseline, strict=True)]
        for contender, scores in zip(contenders, theirs, strict=True)
        if not isinstance(scores, Failed)
    }
    winner, stands_out, note = choose(gains, confidence=confidence)
    recipes = [c.index if c.recipe is None else c.recipe for c in contenders if c.index in gains]
    return Ranked(
        scores=tuple(
            _unranked(c.index, scores.why)
            if isinstance(scores, Failed)
            else _ranked(c.index, gains[c.index], confidence=confidence)
            for c, scores in zip(contenders, theirs, strict=True)
        ),
        winner=winner,
        reward=chosen.name,
        stands_out=stands_out,
        note=note,
        reliability=reliability(list(gains.values()), recipes),
    )


def nothing_ranked(candidates: Sequence[int], reward: Reward, why: str) -> Ranked:
    """Return a ranking without scores, and why."""
    return Ranked(scores=tuple(_unranked(one, why) for one in candidates), winner=None, reward=reward.name, note=why)


def choose(gains: Mapping[int, Sequence[float]], *, confidence: float) -> tuple[int | None, bool, str]:
    """Return the winner among `gains[index][item]`, whether it stands out, and what to say of it.

    The best stands out when the interval of its lead over the group's mean, paired over items, is above zero; the
    level is shared among all that could have been the best (Bonferroni), since the best of many always looks good.
    When none stands out, ranking knows nothing, and the first, the settings' own recipe, is as good as any.
    """
    if not gains:
        return None, False, "no candidate could be measured"
    first = min(gains)
    if len(gains) == 1:
        return first, False, "one candidate: nothing to choose"
    best = max(gains, key=lambda index: (sum(gains[index]), -index))
    means = [sum(column) / len(column) for column in zip(*gains.values(), strict=True)]
    lead = [mine - mean for mine, mean in zip(gains[best], means, strict=True)]
    level = 1 - (1 - confidence) / len(gains)
    low, high = bootstrap_mean(lead, confidence=level, seed=seed_of("lead", best))
    shown = f"{sum(lead) / len(lead):+.3f} [{low:+.3f}, {high:+.3f}] against the mean of {len(gains)}"
    if low > 0:
        return best, True, f"candidate {best} stands out: {shown}"
    return first, False, f"no candidate stands out (the best, {best}: {shown}): candidate {first} is taken"


async def confirm(
    voice: Voice,
    winner: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    earlier: Sequence[QuizItem] | None,
    probes: Probes,
    confidence: float,
    rules: Rules | None = None,
    kept: Kept | None = None,
    own: Mapping[str, Suite] | None = None,
) -> Scorecard:
    """Return the winner's paired scores against the incumbent, closed book and greedy, both asked together.

    `earlier` are confirmation items of documents learned before; None when there are no such documents. `own` are
    canary suites, by "name@version".
    """
    contains, known = GradedAnswers(Kind.CONTAINS), rules or {}
    suites = [
        Suite(reward=contains, items=asked_of(items, spoken={}, rules=known)),
        Suite(reward=contains, items=asked_of(_sampled(earlier or ()), spoken={}, rules=known)),
        Suite(reward=contains, items=tuple(_asked(p.question, p.answer) for p in probes.canary)),
        Suite(reward=SaysUnknown(), items=tuple(_asked(question, "") for question in probes.unknown)),
        *(own or {}).values(),
    ]
    mine, theirs = await score_sheets(voice, [winner, incumbent], suites, kept=kept)
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
    voice: Voice,
    candidate: AdapterFiles,
    *,
    incumbent: AdapterFiles | None,
    questions: Sequence[str],
    grades: Sequence[Grade],
    confidence: float,
) -> Score:
    """Return the paired comparison of greedy answers; unmeasured when there is nothing to ask or nobody to ask."""
    suite = Suite(reward=_Given(grades), items=tuple(_asked(question, "") for question in questions))
    (mine,), (theirs,) = await score_sheets(voice, [candidate, incumbent], [suite])
    return _compared(mine, theirs, confidence=confidence)


def states(answer: str) -> Grade:
    """Return the grade that asks for `answer`."""
    return lambda given: is_right(given, answer)


class _Given:
    """The greedy answer by a grade of each item's own."""

    name = "given"

    def __init__(self, grades: Sequence[Grade]) -> None:
        self._grades = grades

    async def scores(self, voice: Voice, adapter: str | None, items: Sequence[Asked]) -> Scores:
        answers = await greedy_all(voice, adapter, items)
        return tuple(float(grade(answer)) for grade, answer in zip(self._grades, answers, strict=True))


def _asked(question: str, answer: str) -> Asked:
    return Asked(question=question, answer=answer, spoken=answer)


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


def _ranked(index: int, gains: Sequence[float], *, confidence: float) -> RankScore:
    low, high = bootstrap_mean(gains, confidence=confidence, seed=seed_of("rank", index))
    return RankScore(
        index=index,
        rank_score=sum(gains) / len(gains),
        low=low,
        high=high,
        n=len(gains),
        why="",
        error=standard_error(gains) if len(gains) > 1 else None,
    )


def _unranked(index: int, why: str) -> RankScore:
    return RankScore(index=index, rank_score=None, low=None, high=None, n=0, why=why)
