"""The suites of old skills that a version is measured by: the shipped ones, and the tenant's own. Scores nothing."""

from collections.abc import Iterable, Mapping
from importlib import metadata

from sealserve.canaries.probes import SUITES_VERSION
from sealserve.grading.answers import Matcher
from sealserve.learning.context import LearnContext
from sealserve.learning.evaluation.rewards.base import Kind, ScoredItem
from sealserve.learning.evaluation.rewards.canary import CanaryMatch
from sealserve.learning.evaluation.rewards.graded import GradedAnswers, SaysUnknown
from sealserve.learning.evaluation.scoring import ScoreCache, Suite
from sealserve.records.canary_suites import CanaryItem, suite_key


def all_suites(context: LearnContext, tenant: str) -> dict[str, Suite]:
    """Return every suite of old skills that the tenant's versions are measured by, by name. Blocking."""
    known = ((probe.question, probe.answer) for probe in context.probes.canary)
    return {
        "canary": Suite(reward=GradedAnswers(Kind.CONTAINS), items=_asked(known)),
        "unknown": Suite(reward=SaysUnknown(), items=_asked((question, "") for question in context.probes.unknown)),
        **matched_suites(context, tenant),
    }


def matched_suites(context: LearnContext, tenant: str) -> dict[str, Suite]:
    """Return the shipped suites beside facts, and the tenant's live ones, by "name@version". Blocking."""
    reward = CanaryMatch(min_judge_share=context.policy.suites.min_judge_share)
    items = {suite_key(name, SUITES_VERSION): several for name, several in context.probes.suites.items()}
    items |= {suite_key(one.name, one.version): one.items for one in context.registry.canary_suites.live(tenant)}
    return {name: Suite(reward=reward, items=tuple(map(_matched, several))) for name, several in items.items()}


def kept_over(context: LearnContext, tenant: str, *, base_digest: str, artifacts: Mapping[str, str]) -> ScoreCache:
    """Return what was measured before for `tenant` over this base as it is run now; `artifacts` by engine name."""
    base = f"{base_digest}:{context.settings.engine.dtype}:{metadata.version('sealserve')}"
    return ScoreCache(store=context.registry.scores, tenant=tenant, base=base, artifacts=artifacts)


def _asked(pairs: Iterable[tuple[str, str]]) -> tuple[ScoredItem, ...]:
    return tuple(ScoredItem(question=question, answer=answer, spoken=answer) for question, answer in pairs)


def _matched(item: CanaryItem) -> ScoredItem:
    return ScoredItem(
        question=item.prompt,
        answer=item.answer,
        spoken=item.answer,
        matcher=Matcher(item.matcher),
        pattern=item.pattern,
        tolerance=item.tolerance,
        choices=item.choices,
        schema=item.schema,
        max_tokens=item.max_tokens,
    )
