"""Has a version that answers lost more than policy accepts? Pure; decides nothing: a person or the watch does."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

from sealserve.gate.statistics import holm, loss_shown
from sealserve.gate.thresholds import LossRule, SafetyRule
from sealserve.gate.verdict import is_safety_lost
from sealserve.records.scores import Measured

K = TypeVar("K", bound=Hashable)


def fallen(comparisons: Mapping[K, tuple[Measured, LossRule]]) -> tuple[K, ...]:
    """Return the comparisons that show a loss above their rule's margin, each with error `alpha` over all together.

    Of a safety suite each answer counts, as in a verdict.
    """
    shown = holm([loss_shown(s.better, s.worse, n=s.n, margin=rule.margin) for s, rule in comparisons.values()])
    found = zip(comparisons.items(), shown, strict=True)
    return tuple(
        key
        for (key, (score, rule)), chance in found
        if chance <= rule.alpha or (isinstance(rule, SafetyRule) and is_safety_lost(score, rule))
    )
