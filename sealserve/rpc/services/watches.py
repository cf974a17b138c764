"""WatchService."""

import asyncio
from typing import Any

from sealserve.gate.rollout import WatchEvidence, signals
from sealserve.gate.thresholds import WatchRule
from sealserve.records.rollouts import Watch, WatchReport
from sealserve.registry.registry import Registry
from sealserve.rpc.page_tokens import page_size_of
from sealserve.v1 import watch_pb2, watch_pb2_grpc
from sealserve.wire import names, rollouts


class WatchService(watch_pb2_grpc.WatchServiceServicer):
    """Shows watches, with their tests by the rule in force here."""

    def __init__(self, registry: Registry, *, rule: WatchRule) -> None:
        self._registry = registry
        self._rule = rule

    async def GetWatch(self, request: watch_pb2.GetWatchRequest, context: Any) -> watch_pb2.Watch:
        """Raises: InvalidArgument, NotFound."""
        tenant, activation = rollouts.watch_of(request.name)
        found = await asyncio.to_thread(self._registry.rollouts.get, tenant, activation)
        return (await self._told(tenant, (found,)))[0]

    async def ListWatches(self, request: watch_pb2.ListWatchesRequest, context: Any) -> watch_pb2.ListWatchesResponse:
        """Raises: InvalidArgument, NotFound."""
        tenant = names.tenant_of(request.parent)
        page = await asyncio.to_thread(
            self._registry.rollouts.page,
            tenant,
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return watch_pb2.ListWatchesResponse(
            watches=await self._told(tenant, page.items), next_page_token=page.next_page_token
        )

    async def _told(self, tenant: str, found: tuple[Watch, ...]) -> list[watch_pb2.Watch]:
        thumbs = {one.version: one for one in await asyncio.to_thread(self._registry.feedback.by_version, tenant)}
        reports = []
        for watch in found:
            evidence = WatchEvidence(
                counts=watch.counts,
                candidate_thumbs=thumbs.get(watch.version),
                incumbent_thumbs=thumbs.get(watch.incumbent),
            )
            tests = signals(evidence, self._rule)
            reports.append(WatchReport(watch=watch, signals=tests, limit=1 / self._rule.alpha))
        return list(map(rollouts.report_to_wire, reports))
