"""How long a candidate trains for as many documents as it has to learn and to keep, and what holds long training back.

Pure. Steps told of below are of 24 sequences, as the measurements had them; two of 12 are as long (ops/decisions/0014).
`sampler.py` chooses the order in which examples are seen.
"""

import math
from dataclasses import replace

from sealserve.learning.training.examples import Pool
from sealserve.learning.training.sampler import is_wanted
from sealserve.records.candidates import Recipe

STEPS_PER_NEW_DOCUMENT = 2 / 7
"""Further new documents lengthen training by this share of `max_steps` each. Embedded model, eight documents at once:
of the questions on them 0.83 to 0.84 right after 140 steps, 0.95 to 1.00 after 210, restrained as below; old skills
lose 0.003 to 0.017."""

STEPS_PER_EARLIER_DOCUMENT = 0.3
MAX_GROWTH = 10.0
"""A candidate that also has to keep earlier documents trains this much longer for each, up to MAX_GROWTH times. Eight
documents beside sixteen earlier ones leave each some 300 sequences so; with some 200, questions on the earlier ones
lost 0.17 to 0.19 (embedded model)."""

SHORT, LONG, CROWDED = 2.0, 3.0, 4.0
CHANGE_WEIGHT = 20.0
"""Training LONG times longer than for one document weighs weight change so much, and what is kept twice as much; less
down to SHORT, where nothing needs it. Embedded model, six to eight articles beside eight earlier ones: without, old
skills lose 0.02 to 0.04 whatever `kept_weight` is, because new values are given for others' facts; with, 0.006 and
0.011 in 390 and 420 steps, and all that the articles say is right. From CROWDED on, so many documents need room: eight
beside sixteen in 546 steps know 0.91 of the new and 0.87 of the earlier facts at a weight of 20, 0.97 and 0.92 at 10,
where old skills lose 0.009 and 0.014 (ops/decisions/0014)."""


def step_growth(pool: Pool, *, is_rebuilt: bool = True) -> float:
    """Return how many times longer than on one new document training takes at most.

    Several take longer, but less than each alone. Earlier documents lengthen training where the adapter is rebuilt from
    the base, so that keeping them does not thin out the new ones.
    """
    return _several(pool) * _kept_growth(pool, is_rebuilt=is_rebuilt)


def regularised(recipe: Recipe, growth: float) -> Recipe:
    """Return the recipe as training that is `growth` times longer needs it: the longer, the more else it changes."""
    share = min(1.0, max(0.0, growth - SHORT) / (LONG - SHORT))
    change_weight = CHANGE_WEIGHT * share * min(1.0, CROWDED / growth)
    return replace(
        recipe,
        kept_weight=recipe.kept_weight * (1 + share),
        change_weight=recipe.change_weight + change_weight,
    )


def steps_for(pool: Pool, recipe: Recipe, *, max_steps: int, is_rebuilt: bool = True) -> int:
    """Return how many optimizer steps the recipe takes: its epochs over the new examples, or the most allowed.

    `max_steps` is meant for one new document; see `step_growth`.
    """
    wanted = recipe.epochs * sum(1 for example in pool.examples if is_wanted(example, recipe, pool.new))
    steps = math.ceil(wanted / (1 - recipe.rehearsal) / recipe.batch_size)
    return max(1, round(min(steps, max_steps * _several(pool)) * _kept_growth(pool, is_rebuilt=is_rebuilt)))


def _several(pool: Pool) -> float:
    return 1 + STEPS_PER_NEW_DOCUMENT * (max(1, len(pool.new)) - 1)


def _kept_growth(pool: Pool, *, is_rebuilt: bool) -> float:
    earlier = {example.document for example in pool.examples} - pool.new - {""} if is_rebuilt else set()
    return min(1 + STEPS_PER_EARLIER_DOCUMENT * len(earlier) / _several(pool), MAX_GROWTH)
