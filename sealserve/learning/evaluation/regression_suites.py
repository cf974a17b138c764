"""The regression suites that versions are measured by: the shipped ones and the tenant's own."""

from collections.abc import Iterable, Mapping
from importlib import metadata

from sealserve.canaries.probes import SUITES_VERSION, Probes
from sealserve.grading.answers import Matcher
from sealserve.learning.evaluation.rewards.base import Kind, ScoredItem
from sealserve.learning.evaluation.rewards.canary import CanaryMatch
from sealserve.learning.evaluation.rewards.graded import GradedAnswers, SaysUnknown
from sealserve.learning.evaluation.scoring import ScoreCache, Scores, Suite
from sealserve.records.canary_suites import CanaryItem, suite_key
from sealserve.registry.registry import CachedScores, Registry


def all_suites(registry: Registry, probes: Probes, tenant: str, *, min_judge_share: float) -> dict[str, Suite]:
    """Return every regression suite of the tenant's versions by name. Blocking."""
    known = ((probe.question, probe.answer) for probe in probes.canary)
    return {
        "canary": Suite(reward=GradedAnswers(Kind.CONTAINS), items=_scored_items(known)),
        "unknown": Suite(reward=SaysUnknown(), items=_scored_items((question, "") for question in probes.unknown)),
        **matched_suites(registry, probes, tenant, min_judge_share=min_judge_share),
    }


def matched_suites(registry: Registry, probes: Probes, tenant: str, *, min_judge_share: float) -> dict[str, Suite]:
    """Return the shipped suites other than facts, and the tenant's live ones, by "name@version". Blocking."""
    reward = CanaryMatch(min_judge_share=min_judge_share)
    items = {suite_key(name, SUITES_VERSION): several for name, several in probes.suites.items()}
    items |= {suite_key(suite.name, suite.version): suite.items for suite in registry.canary_suites.live(tenant)}
    return {name: Suite(reward=reward, items=tuple(map(_scored_item, several))) for name, several in items.items()}


def score_cache(
    store: CachedScores,
    tenant: str,
    *,
    base_digest: str,
    dtype: str,
    artifacts: Mapping[str, str],
    base_scores: dict[str, Scores],
) -> ScoreCache:
    """Return the tenant's earlier measurements over this base, run in this dtype by this release.

    `artifacts` are the digests of adapters by engine name; `base_scores` what this process measured of the base.
    """
    base = f"{base_digest}:{dtype}:{metadata.version('sealserve')}"
    return ScoreCache(store=store, tenant=tenant, base=base, artifacts=artifacts, base_scores=base_scores)


def _scored_items(pairs: Iterable[tuple[str, str]]) -> tuple[ScoredItem, ...]:
    return tuple(ScoredItem(question=question, answer=answer, reference_text=answer) for question, answer in pairs)


def _scored_item(item: CanaryItem) -> ScoredItem:
    return ScoredItem(
        question=item.prompt,
        answer=item.answer,
        reference_text=item.answer,
        matcher=Matcher(item.matcher),
        pattern=item.pattern,
        tolerance=item.tolerance,
        choices=item.choices,
        schema=item.schema,
        max_tokens=item.max_tokens,
    )
