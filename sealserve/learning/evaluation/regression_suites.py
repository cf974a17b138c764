"""The suites of old skills that a version is measured by: the shipped ones, and the tenant's own. Scores nothing."""

from collections.abc import Iterable, Mapping
from importlib import metadata

from sealserve.canaries.probes import SUITES_VERSION
from sealserve.grading.answers import Matcher
from sealserve.learning.context import Workshop
from sealserve.learning.evaluation.rewards.base import Asked, Kind
from sealserve.learning.evaluation.rewards.canary import Matched
from sealserve.learning.evaluation.rewards.graded import GradedAnswers, SaysUnknown
from sealserve.learning.evaluation.scoring import Kept, Suite
from sealserve.records.canary_suites import CanaryItem, suite_key


def all_suites(shop: Workshop, tenant: str) -> dict[str, Suite]:
    """Return every suite of old skills that the tenant's versions are measured by, by name. Blocking."""
    known = ((probe.question, probe.answer) for probe in shop.probes.canary)
    return {
        "canary": Suite(reward=GradedAnswers(Kind.CONTAINS), items=_asked(known)),
        "unknown": Suite(reward=SaysUnknown(), items=_asked((question, "") for question in shop.probes.unknown)),
        **matched_suites(shop, tenant),
    }


def matched_suites(shop: Workshop, tenant: str) -> dict[str, Suite]:
    """Return the shipped suites beside facts, and the tenant's live ones, by "name@version". Blocking."""
    reward = Matched(min_judge_share=shop.policy.suites.min_judge_share)
    items = {suite_key(name, SUITES_VERSION): several for name, several in shop.probes.suites.items()}
    items |= {suite_key(one.name, one.version): one.items for one in shop.registry.live_canary_suites(tenant)}
    return {name: Suite(reward=reward, items=tuple(map(_matched, several))) for name, several in items.items()}


def kept_over(shop: Workshop, tenant: str, *, base_digest: str, artifacts: Mapping[str, str]) -> Kept:
    """Return what was measured before for `tenant` over this base as it is run now; `artifacts` by engine name."""
    base = f"{base_digest}:{shop.settings.engine.dtype}:{metadata.version('sealserve')}"
    return Kept(registry=shop.registry, tenant=tenant, base=base, artifacts=artifacts)


def _asked(pairs: Iterable[tuple[str, str]]) -> tuple[Asked, ...]:
    return tuple(Asked(question=question, answer=answer, spoken=answer) for question, answer in pairs)


def _matched(item: CanaryItem) -> Asked:
    return Asked(
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
