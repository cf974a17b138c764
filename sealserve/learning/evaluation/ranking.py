"""Ranking: each candidate's gain over the incumbent on the selection items, and the winner.

A candidate that cannot be measured has no score and a reason, never a score of zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sealserve.engine.engine import AdapterFiles
from sealserve.gate.reliability import reliability, standard_error
from sealserve.gate.statistics import bootstrap_mean
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.evaluation.rewards.base import Reward, Rules, scored_items
from sealserve.learning.evaluation.rewards.likelihood import LogLikelihood
from sealserve.learning.evaluation.scoring import Failed, ScoreCache, Scores, Suite, score_matrix
from sealserve.records.cycles import QuizItem
from sealserve.records.step_outputs import Ranked, RankScore

MAX_AT_FLOOR = 0.5
"""Share of scores at the reward's floor above which they say nothing about which candidate is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A candidate to measure. `recipe` is the same for candidates that differ only in their seed."""

    index: int
    files: AdapterFiles
    recipe: int | None = None  # None: a recipe of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingInputs:
    """What candidates are ranked by. `reference_text` gives the answer to each question in the model's own words."""

    incumbent: AdapterFiles | None
    items: Sequence[QuizItem]
    reference_text: Mapping[str, str]
    rules: Rules = field(default_factory=dict)
    reward: Reward = field(default_factory=LogLikelihood)


async def rank(
    client: EngineClient,
    contenders: Sequence[Contender],
    inputs: RankingInputs,
    *,
    confidence: float,
    cache: ScoreCache | None = None,
) -> Ranked:
    """Return each contender's mean gain over the incumbent by the reward, and the winner.

    Questions on one fact count as one item, with their mean: intervals and reliability are over facts.
    All contenders are asked concurrently. A contender that cannot be measured does not stop the others. The best one
    wins if it stands out from the group; otherwise the first one wins.
    """
    reward = inputs.reward
    if not inputs.items:
        return nothing_ranked([c.index for c in contenders], reward, "no selection questions")
    suite = Suite(
        reward=reward, items=scored_items(inputs.items, reference_text=inputs.reference_text, rules=inputs.rules)
    )
    adapters = [inputs.incumbent, *(contender.files for contender in contenders)]
    baseline, *theirs = [row[0] for row in await score_matrix(client, adapters, [suite], cache=cache)]
    if isinstance(baseline, Failed):
        why = f"the incumbent could not be measured: {baseline.why}"
        return nothing_ranked([c.index for c in contenders], reward, why)
    gains = {
        contender.index: _gains_by_fact(scores, baseline, inputs.items)
        for contender, scores in zip(contenders, theirs, strict=True)
        if not isinstance(scores, Failed)
    }
    winner, stands_out, note = choose(gains, confidence=confidence)
    floored = _share_at_floor([scores for scores in theirs if not isinstance(scores, Failed)], reward)
    if floored > MAX_AT_FLOOR and gains:
        winner, stands_out = min(gains), False
        note = f"{floored:.0%} of the candidates' scores are at the floor: candidate {winner} is taken, unranked"
    recipes = [c.index if c.recipe is None else c.recipe for c in contenders if c.index in gains]
    return Ranked(
        scores=tuple(
            _unranked(c.index, scores.why)
            if isinstance(scores, Failed)
            else _ranked(c.index, gains[c.index], confidence=confidence)
            for c, scores in zip(contenders, theirs, strict=True)
        ),
        winner=winner,
        reward=reward.name,
        stands_out=stands_out,
        note=note,
        reliability=reliability(list(gains.values()), recipes),
    )


def _share_at_floor(scores: Sequence[Sequence[float]], reward: Reward) -> float:
    floor = getattr(reward, "floor", None)
    found = [score for row in scores for score in row]
    return sum(score <= floor for score in found) / len(found) if found and floor is not None else 0.0


def nothing_ranked(candidates: Sequence[int], reward: Reward, why: str) -> Ranked:
    """Return a ranking in which no candidate has a score, for the reason `why`."""
    return Ranked(
        scores=tuple(_unranked(index, why) for index in candidates), winner=None, reward=reward.name, note=why
    )


def choose(gains: Mapping[int, Sequence[float]], *, confidence: float) -> tuple[int | None, bool, str]:
    """Return the winner among `gains[index][item]`, whether it stands out, and a note for the operator.

    The best candidate stands out if the interval of its lead over the group's mean, paired over items, is above zero.
    The level is corrected for the number of candidates (Bonferroni), since the best of many always looks good. If none
    stands out, the ranking is uninformative, and the first candidate, trained by the settings' own recipe, wins.
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


def _gains_by_fact(scores: Scores, baseline: Scores, items: Sequence[QuizItem]) -> list[float]:
    groups: dict[tuple[str, str], list[float]] = {}
    for mine, before, item in zip(scores, baseline, items, strict=True):
        groups.setdefault((item.document, item.fact or item.question), []).append(mine - before)
    return [sum(group) / len(group) for group in groups.values()]


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
