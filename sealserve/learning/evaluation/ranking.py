"""Measuring candidates: a ranking score for each, and the winner's scorecard.

Selection items rank and confirmation items confirm, never both. What cannot be measured says why; it is never a
zero. Knows nothing of thresholds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sealserve.engine.engine import AdapterFiles
from sealserve.gate.reliability import reliability, standard_error
from sealserve.gate.statistics import bootstrap_mean
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.evaluation.rewards.base import Reward, Rules, scored_items
from sealserve.learning.evaluation.rewards.likelihood import LogLikelihood
from sealserve.learning.evaluation.scoring import Failed, ScoreCache, Suite, score_matrix
from sealserve.records.cycles import QuizItem
from sealserve.records.step_outputs import Ranked, RankScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A candidate to measure. `recipe` is the same for candidates that differ in their seed alone."""

    index: int
    files: AdapterFiles
    recipe: int | None = None  # None: a recipe of its own


async def rank(
    client: EngineClient,
    contenders: Sequence[Contender],
    *,
    incumbent: AdapterFiles | None,
    items: Sequence[QuizItem],
    spoken: Mapping[str, str],
    confidence: float,
    reward: Reward | None = None,
    rules: Rules | None = None,
    kept: ScoreCache | None = None,
) -> Ranked:
    """Return each contender's mean gain over the incumbent by `reward` (likelihood if None), and the winner.

    All are asked together. `spoken` gives the answer to each question in the model's own words. One contender that
    cannot be measured does not stop the others. The best one wins if it stands out from the group, else the first.
    """
    chosen = reward or LogLikelihood()
    if not items:
        return nothing_ranked([c.index for c in contenders], chosen, "no selection questions")
    suite = Suite(reward=chosen, items=scored_items(items, spoken=spoken, rules=rules or {}))
    sides = [incumbent, *(contender.files for contender in contenders)]
    baseline, *theirs = [sheet[0] for sheet in await score_matrix(client, sides, [suite], kept=kept)]
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
