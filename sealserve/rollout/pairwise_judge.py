"""Which of two answers to the same request is the better one, by what there is to go by. Writes nothing.

A right answer, where the tenant gave one to this very question (evaluation sets, corrections) or a quiz has one; else
whether each is an answer at all. Beside that, the likelihood that the candidate gives to the incumbent's answer.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sealserve.engine.engine import Engine, ScoreRequest
from sealserve.errors import SealserveError
from sealserve.gate.thresholds import WatchRule
from sealserve.grading.answers import Matcher, is_right_by, is_unknown, normalised
from sealserve.grading.degenerate import is_degenerate
from sealserve.records.inference import FinishReason
from sealserve.records.rollouts import Count, Watch
from sealserve.registry.registry import Registry
from sealserve.rollout.shadow_traffic import Pair
from sealserve.serving.answers import Answered
from sealserve.serving.salt import TenantSalts

REFERENCES_SECONDS = 30.0
"""How long new right answers may go unnoticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A right answer, and the rule by which another is compared with it."""

    answer: str
    matcher: Matcher = Matcher.CONTAINS
    pattern: str = ""

    def accepts(self, answered: Answered) -> bool:
        """Return whether the answer is right; a failed one is not."""
        return not answered.error and is_right_by(self.matcher, answered.text, gold=self.answer, pattern=self.pattern)


class PairwiseJudge:
    """Compares pairs. `clock` gives seconds."""

    def __init__(
        self, registry: Registry, engine: Engine, *, salts: TenantSalts, rule: WatchRule, clock: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._engine = engine
        self._salts = salts
        self._rule = rule
        self._clock = clock
        self._references: dict[str, tuple[int, float, Mapping[str, Reference]]] = {}

    async def compare(self, watch: Watch, pair: Pair) -> Counter[Count]:
        """Return what the pair adds to the counts. Raises: StorageFailed (right answers could not be read)."""
        sides = {side.route.version: side for side in (pair.answered, pair.second)}
        candidate, incumbent = sides[watch.version], sides[watch.incumbent]
        found = Counter({Count.PAIRS: 1})
        reference = await self._reference(watch, candidate)
        if reference is not None:
            found[Count.REFERENCED] += 1
            is_good, was_good = reference.accepts(candidate), reference.accepts(incumbent)
        else:
            is_good, was_good = not is_bad(candidate), not is_bad(incumbent)
            found += await self._likelihood(candidate, incumbent)
        found[Count.WORSE] += was_good and not is_good
        found[Count.BETTER] += is_good and not was_good
        return found

    async def _reference(self, watch: Watch, answered: Answered) -> Reference | None:
        asked = [turn.content for turn in answered.turns if turn.role != "system"]
        if len(asked) != 1:
            return None
        activation, until, known = self._references.get(watch.tenant, (0, 0.0, {}))
        if activation != watch.activation or self._clock() >= until:
            known = await asyncio.to_thread(references_of, self._registry, watch)
            self._references[watch.tenant] = (watch.activation, self._clock() + REFERENCES_SECONDS, known)
        return known.get(normalised(asked[0]))

    async def _likelihood(self, candidate: Answered, incumbent: Answered) -> Counter[Count]:
        """Whether the incumbent's answer is one that the candidate might still give; nothing if it was none."""
        if is_bad(incumbent) or is_unknown(incumbent.text) or candidate.error:
            return Counter()
        if normalised(candidate.text) == normalised(incumbent.text):
            return Counter({Count.LIKELIHOODS: 1})
        try:
            before, now = await self._nats(incumbent, incumbent), await self._nats(candidate, incumbent)
        except SealserveError:
            return Counter()
        return Counter({Count.LIKELIHOODS: 1, Count.IMPLAUSIBLE: before - now > self._rule.drift.max_drop})

    async def _nats(self, side: Answered, told: Answered) -> float:
        """Mean nats a token that `side`'s version gives to what was `told`."""
        request = ScoreRequest(
            request_id=f"shadow-score-{side.request_id}",
            turns=side.turns,
            completion=told.text,
            adapter=side.route.engine_name,
            cache_salt=self._salts.salt(side.route.tenant),
        )
        found = await self._engine.score(request)
        return found.log_likelihood / max(found.tokens, 1)


def is_bad(answered: Answered) -> bool:
    """Return whether this is no answer: the engine failed on it, or it is degenerate."""
    return bool(answered.error) or is_degenerate(answered.text, is_whole=answered.finish is FinishReason.STOP)


def references_of(registry: Registry, watch: Watch) -> dict[str, Reference]:
    """Return the right answers by normalised question; what the tenant gave goes before what a model wrote."""
    found: dict[str, Reference] = {}
    if watch.version:
        for quiz in registry.history.learned_quiz(watch.tenant, watch.version):
            found[normalised(quiz.question)] = Reference(answer=quiz.answer)
    for one in registry.question_sets.newest(watch.tenant):
        for item in one.items:
            reference = Reference(answer=item.answer, matcher=Matcher(item.matcher), pattern=item.pattern)
            found[normalised(item.question)] = reference
    for kept in reversed(registry.feedback.corrections(watch.tenant)):
        found[normalised(kept.opinion.question)] = Reference(answer=kept.opinion.correction)
    return found
