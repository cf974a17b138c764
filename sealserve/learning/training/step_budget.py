"""How many steps a candidate trains for, given its new and earlier documents, and how long training is regularised.

Pure. Step counts below are of 24 sequences per step, as in the measurements; two steps of 12 are as long
(ops/decisions/0014).
"""

import math
from dataclasses import replace

from sealserve.learning.training.examples import Origin, Pool
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
WEIGHT_CHANGE_PENALTY = 20.0
"""Training LONG times longer than for one document weighs weight change so much, and what is kept twice as much; less
down to SHORT, where nothing needs it. Embedded model, six to eight articles beside eight earlier ones: without, old
skills lose 0.02 to 0.04 whatever `kl_weight` is, because new values are given for others' facts; with, 0.006 and
0.011 in 390 and 420 steps, and all that the articles say is right. From CROWDED on, so many documents need room: eight
beside sixteen in 546 steps know 0.91 of the new and 0.87 of the earlier facts at a weight of 20, 0.97 and 0.92 at 10,
where old skills lose 0.009 and 0.014 (ops/decisions/0014)."""


def step_growth(pool: Pool, *, is_rebuilt: bool = True) -> float:
    """Return how many times longer training may take than for one new document.

    Several documents take longer, but less than the sum of each alone. Earlier documents lengthen training if the
    adapter is rebuilt from the base; otherwise replay would dilute the new documents.
    """
    return _new_growth(pool) * _earlier_growth(pool, is_rebuilt=is_rebuilt)


def regularised(recipe: Recipe, growth: float) -> Recipe:
    """Return the recipe with the regularisation that training `growth` times longer needs."""
    share = min(1.0, max(0.0, growth - SHORT) / (LONG - SHORT))
    weight_change_penalty = WEIGHT_CHANGE_PENALTY * share * min(1.0, CROWDED / growth)
    return replace(
        recipe,
        kl_weight=recipe.kl_weight * (1 + share),
        weight_change_penalty=recipe.weight_change_penalty + weight_change_penalty,
    )


def steps_for(pool: Pool, recipe: Recipe, *, max_steps: int, is_rebuilt: bool = True) -> int:
    """Return how many optimizer steps the recipe takes: its epochs over the new examples, or the most allowed.

    `max_steps` is meant for one new document; see `step_growth`.
    """
    wanted = recipe.epochs * sum(1 for example in pool.examples if is_wanted(example, recipe, pool.new))
    steps = math.ceil(wanted / (1 - recipe.retention) / recipe.batch_size)
    return max(1, round(min(steps, max_steps * _new_growth(pool)) * _earlier_growth(pool, is_rebuilt=is_rebuilt)))


def _new_growth(pool: Pool) -> float:
    """A document of many passages counts as many documents."""
    passages = sum(example.origin is Origin.PASSAGE for example in pool.examples if example.document in pool.new)
    return 1 + STEPS_PER_NEW_DOCUMENT * (max(1, len(pool.new), passages) - 1)


def _earlier_growth(pool: Pool, *, is_rebuilt: bool) -> float:
    earlier = {example.document for example in pool.examples} - pool.new - {""} if is_rebuilt else set()
    return min(1 + STEPS_PER_EARLIER_DOCUMENT * len(earlier) / _new_growth(pool), MAX_GROWTH)
