"""Rewards computed from the greedy answer alone: exact, F1, contains, and each item's own rule."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from sealserve.grading.answers import f1, is_exactly, is_unknown
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.rewards.base import Kind, ScoredItem, greedy_all

Rule: TypeAlias = Callable[[ScoredItem, str], float]

RULES: Mapping[Kind, Rule] = {
    Kind.EXACT: lambda item, given: float(is_exactly(given, item.answer)),
    Kind.F1: lambda item, given: f1(given, item.answer),
    Kind.CONTAINS: lambda item, given: float(item.is_right(given)),
    Kind.REGEX: lambda item, given: float(item.is_right(given)),
    Kind.FEEDBACK: lambda item, given: float(item.is_right(given)),
}
"""An item that brings its own rule is judged by it, except where the reward's whole point is another one."""


class GradedAnswers:
    """The greedy answer, graded by one of RULES."""

    def __init__(self, kind: Kind) -> None:
        self.name = str(kind)
        self._rule = RULES[kind]

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> tuple[float, ...]:
        """As `Reward.scores`."""
        given = await greedy_all(client, adapter, items)
        return tuple(self._rule(item, answer) for item, answer in zip(items, given, strict=True))


class SaysUnknown:
    """1 where the greedy answer says that it is not known: what should stay so for what nobody told."""

    name = "unknown"

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> tuple[float, ...]:
        """As `Reward.scores`."""
        given = await greedy_all(client, adapter, items)
        return tuple(float(is_unknown(answer)) for answer in given)
