"""The nightly evaluation: every active version's old skills, measured again against the base. Judges nothing."""

import asyncio
from collections.abc import Sequence

import structlog

from sealserve.engine.engine import AdapterFiles
from sealserve.errors import SealserveError
from sealserve.gate.grade import is_unknown
from sealserve.learning.reward import Grade, paired, states
from sealserve.learning.voice import Voice, candidate_name
from sealserve.learning.workshop import Workshop
from sealserve.records import BASE_VERSION, Score, Tenant, Unmeasured
from sealserve.telemetry.names import Attribute, Span

_LOG = structlog.get_logger(__name__)
CYCLE = "nightly"
"""Stands in engine names where a cycle's id would."""


async def evaluate_active_versions(shop: Workshop) -> dict[str, dict[str, Score]]:
    """Return each tenant's canary and unknown scores against the base model, and log them as numbers."""
    tenants = await asyncio.to_thread(shop.registry.desired)
    return {t.tenant: await _evaluate(shop, t) for t in tenants if t.desired_version != BASE_VERSION}


async def _evaluate(shop: Workshop, tenant: Tenant) -> dict[str, Score]:
    voice = Voice(shop.engine, tenant=tenant.tenant, cycle=CYCLE, concurrency=shop.settings.learn.concurrency)
    suites: dict[str, tuple[Sequence[str], Sequence[Grade]]] = {
        "canary": ([p.question for p in shop.probes.canary], [states(p.answer) for p in shop.probes.canary]),
        "unknown": (shop.probes.unknown, [is_unknown] * len(shop.probes.unknown)),
    }
    scores: dict[str, Score] = {}
    for suite, (questions, grades) in suites.items():
        about: dict[Attribute, str | int] = {
            Attribute.TENANT: tenant.tenant,
            Attribute.VERSION: tenant.desired_version,
            Attribute.SUITE: suite,
        }
        with shop.telemetry.span(Span.MEASURE, about):
            try:
                files = await asyncio.to_thread(_files, shop, tenant)
                scores[suite] = await paired(
                    voice, files, incumbent=None, questions=questions, grades=grades, confidence=shop.policy.confidence
                )
            except SealserveError as error:
                scores[suite] = Unmeasured(why=error.message)
        _LOG.info(
            "nightly.measured",
            tenant=tenant.tenant,
            version=tenant.desired_version,
            suite=suite,
            gain=None if isinstance(score := scores[suite], Unmeasured) else score.gain,
        )
    return scores


def _files(shop: Workshop, tenant: Tenant) -> AdapterFiles:
    version = shop.registry.version(tenant.tenant, tenant.desired_version)
    name = candidate_name(CYCLE, f"{tenant.tenant}-{version.version}", artifact=version.artifact)
    return AdapterFiles(name=name, path=shop.registry.artifacts.directory(version.artifact))
