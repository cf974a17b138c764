"""The nightly evaluation: measures the old skills of every active version again, and records them as a trend.

The version is measured anew. It is compared with cached measurements of the base and of its own first evaluation. A
loss beyond policy is logged and counted; nothing is rolled back here. Answers that its documents override do not count.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import structlog

from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import SealserveError
from sealserve.gate.intervals import wilson
from sealserve.gate.regression import fallen
from sealserve.gate.statistics import compare
from sealserve.gate.thresholds import LossRule, Policy, SafetyRule
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient, candidate_name
from sealserve.learning.evaluation.overrides import Overrides
from sealserve.learning.evaluation.regression_suites import all_suites, score_cache
from sealserve.learning.evaluation.scoring import Failed, Scores, Suite, score_matrix
from sealserve.learning.training.replay import overridden_by_version
from sealserve.records.canary_suites import CanaryResult
from sealserve.records.scores import Measured
from sealserve.records.tenants import Tenant
from sealserve.records.versions import BASE_VERSION
from sealserve.telemetry.names import Attribute, LogEvent, Span

_LOG = structlog.get_logger(__name__)
CYCLE = "nightly"
"""Stands in engine names where a cycle's id would."""

BASE, ITSELF = "base", "itself"
"""What a version is held against: the base model, and its own answers when they were first kept."""


async def evaluate_active_versions(context: LearnContext) -> tuple[CanaryResult, ...]:
    """Return, log and keep how each tenant's active version does in each of its suites now."""
    tenants = await asyncio.to_thread(context.registry.tenants.activated)
    return tuple([one for t in tenants if t.desired_version != BASE_VERSION for one in await _evaluate(context, t)])


async def _evaluate(context: LearnContext, tenant: Tenant) -> tuple[CanaryResult, ...]:
    about: dict[Attribute, str | int] = {Attribute.TENANT: tenant.tenant, Attribute.VERSION: tenant.desired_version}
    with context.telemetry.span(Span.MEASURE, about):
        suites = await asyncio.to_thread(
            all_suites,
            context.registry,
            context.probes,
            tenant.tenant,
            min_judge_share=context.policy.suites.min_judge_share,
        )
        try:
            sheets = await _measure(context, tenant, suites)
        except SealserveError as error:
            sheets = {name: {"now": Failed(why=error.message)} for name in suites}
    version = tenant.desired_version
    overridden = await asyncio.to_thread(overridden_by_version, context.registry, tenant.tenant, version)
    excused = Overrides(overridden).excused()
    for name, suite in suites.items():
        if name in excused and not isinstance(_rule(context.policy, name), SafetyRule):
            places = [place for place, item in enumerate(suite.items) if item.question not in excused[name]]
            sheets[name] = {side: _only(places, scores) for side, scores in sheets[name].items()}
    results = _build_results(context.policy, tenant, sheets)
    await asyncio.to_thread(context.registry.canary_suites.add_results, results)
    for result in results:
        _log_result(context, result)
    return results


def _only(places: Sequence[int], scores: Scores | Failed | None) -> Scores | Failed | None:
    """Return the scores at `places`."""
    if not isinstance(scores, tuple):
        return scores
    return tuple(scores[place] for place in places) or Failed(why="documents override every answer")


async def _measure(
    context: LearnContext, tenant: Tenant, suites: Mapping[str, Suite]
) -> dict[str, dict[str, Scores | Failed | None]]:
    """Return, by suite, the scores of the version now, of the base, and of the version when it was first measured."""
    registry = context.registry
    client = EngineClient(
        context.engine, tenant=tenant.tenant, cycle=CYCLE, concurrency=context.settings.learn.concurrency
    )
    version = await asyncio.to_thread(registry.versions.get, tenant.tenant, tenant.desired_version)
    name = candidate_name(CYCLE, f"{tenant.tenant}-{version.version}", artifact=version.artifact)
    digest = (await context.engine.info()).base_digest
    cache = score_cache(
        registry.scores,
        tenant.tenant,
        base_digest=digest,
        dtype=context.settings.engine.dtype,
        artifacts={name: version.artifact},
        base_scores=context.base_scores,
    )
    async with in_thread(registry.artifacts.materialise(version.artifact)) as path:
        files = AdapterFiles(name=name, path=path)
        before = [await cache.find(files, suite) for suite in suites.values()]
        (now,) = await score_matrix(client, [files], list(suites.values()))
        (base,) = await score_matrix(client, [None], list(suites.values()), cache=cache)
        for suite, scores in zip(suites.values(), now, strict=True):
            if not isinstance(scores, Failed):
                await cache.keep(files, suite, scores)
    rows = zip(now, base, before, strict=True)
    return {one: {"now": n, BASE: b, ITSELF: k} for one, (n, b, k) in zip(suites, rows, strict=True)}


def _build_results(
    policy: Policy, tenant: Tenant, sheets: Mapping[str, Mapping[str, Scores | Failed | None]]
) -> tuple[CanaryResult, ...]:
    """One point of the trend for each suite; what fell is told apart with all comparisons of the night in view."""
    compared: dict[tuple[str, str], tuple[Measured, LossRule]] = {}
    for suite, sheet in sheets.items():
        now = sheet["now"]
        for against in (BASE, ITSELF):
            other = sheet.get(against)
            if isinstance(now, tuple) and isinstance(other, tuple):
                score = compare([one > 0 for one in now], [one > 0 for one in other], confidence=policy.confidence)
                compared[suite, against] = (score, _rule(policy, suite))
    fell = fallen(compared)
    return tuple(
        _build_result(
            policy,
            tenant,
            suite,
            sheet=sheet,
            score=compared[suite, BASE][0] if (suite, BASE) in compared else None,
            fell=tuple(against for name, against in fell if name == suite),
        )
        for suite, sheet in sheets.items()
    )


def _build_result(
    policy: Policy,
    tenant: Tenant,
    suite: str,
    *,
    sheet: Mapping[str, Scores | Failed | None],
    score: Measured | None,
    fell: tuple[str, ...],
) -> CanaryResult:
    name, _, version = suite.partition("@")
    whys = [f"{side}: {one.why}" for side, one in sheet.items() if isinstance(one, Failed)]
    low, high = wilson(round(score.candidate * score.n), score.n, confidence=policy.confidence) if score else (0.0, 0.0)
    return CanaryResult(
        tenant=tenant.tenant,
        version=tenant.desired_version,
        suite=name,
        suite_version=int(version or 0),
        n=score.n if score else 0,
        share=score.candidate if score else 0.0,
        low=low,
        high=high,
        gain=score.gain if score else 0.0,
        gain_low=score.gain_low if score else 0.0,
        gain_high=score.gain_high if score else 0.0,
        fell=fell,
        why="; ".join(whys),
        taken_at=datetime.now(UTC),
    )


def _rule(policy: Policy, suite: str) -> LossRule:
    return {"canary": policy.canary, "unknown": policy.unknown}.get(suite) or policy.rule_of(suite)


def _log_result(context: LearnContext, one: CanaryResult) -> None:
    about = {"tenant": one.tenant, "version": one.version, "suite": one.suite, "suite_version": one.suite_version}
    if one.n:
        _LOG.info(LogEvent.CANARY_MEASURED, **about, share=one.share, gain=one.gain)
        context.telemetry.metrics.canary_measured(one.share, tenant=one.tenant, suite=one.suite)
    else:
        _LOG.warning(LogEvent.CANARY_NOT_MEASURED, **about, reason=one.why)
    for against in one.fell:
        _LOG.warning(LogEvent.CANARY_REGRESSED, **about, against=against, share=one.share, gain=one.gain)
        context.telemetry.metrics.canary_regressed(tenant=one.tenant, suite=one.suite, against=against)
