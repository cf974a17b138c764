"""The likelihood reward: log p of the right answer a token, clipped from below. One forward pass per item.

It worked in every setting of arXiv 2602.03979.
"""

import asyncio
import math
from collections.abc import Sequence

from sealserve.errors import CouldNotMeasure
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.rewards.base import Kind, ScoredItem

FLOOR_NATS = -5.0
"""Log-likelihoods a token below this count as this, so that no single item moves the mean by more than 5 nats: how
impossible an answer was before says nothing about how well it is known now."""


class LogLikelihood:
    """Mean log p a token of the reference text after the question, in nats, at least FLOOR_NATS."""

    floor = FLOOR_NATS

    def __init__(self, *, is_summed: bool = False) -> None:
        """Score the mean over an answer's tokens; `is_summed`: their sum, for differences of one answer's own."""
        self.name = f"{Kind.LIKELIHOOD}:{'sum' if is_summed else 'token'}:{FLOOR_NATS}"
        self._is_summed = is_summed

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> tuple[float, ...]:
        """As `Reward.scores`. Raises: CouldNotMeasure (a likelihood that is not a number)."""
        score = client.log_likelihood if self._is_summed else client.log_likelihood_per_token
        found = await asyncio.gather(*(score(item.question, item.reference_text, adapter=adapter) for item in items))
        if not all(map(math.isfinite, found)):
            raise CouldNotMeasure("a log-likelihood is not a number")
        return tuple(max(one, FLOOR_NATS) for one in found)
