"""CycleService."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

from sealserve.errors import FailedPrecondition
from sealserve.records.cycles import Cycle, CycleState
from sealserve.records.reports import CycleReport
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import actor
from sealserve.rpc.cycle_report import cycle_report
from sealserve.rpc.page_tokens import page_size_of, position_of, position_token
from sealserve.rpc.polling import follow
from sealserve.v1 import cycle_pb2, cycle_pb2_grpc
from sealserve.wire import names
from sealserve.wire.cycles import cycle_to_wire, self_edit_to_wire

TRIGGER = "rpc"
OPEN = (CycleState.PENDING, CycleState.RUNNING)


class CycleService(cycle_pb2_grpc.CycleServiceServicer):
    """Starts cycles and shows how they go."""

    def __init__(
        self,
        registry: Registry,
        *,
        max_documents: int,
        poll_seconds: float,
        draining: asyncio.Event,
        refusal: Callable[[], str] = str,
        watch_seconds: float = math.inf,
    ) -> None:
        """`max_documents` is what one cycle learns at once; `refusal` says why none may start now, "" if one may.

        A watch is ended after `watch_seconds`.
        """
        self._refusal = refusal
        self._registry = registry
        self._max_documents = max_documents
        self._poll_seconds = poll_seconds
        self._draining = draining
        self._watch_seconds = watch_seconds

    async def StartCycle(self, request: cycle_pb2.StartCycleRequest, context: Any) -> cycle_pb2.Cycle:
        """Raises: InvalidArgument, NotFound, FailedPrecondition."""
        tenant = names.tenant_of(request.parent)

        def start() -> CycleReport:
            if reason := self._refusal():
                raise FailedPrecondition(reason)
            cycle = self._registry.cycles.start(
                tenant,
                trigger=TRIGGER,
                actor=actor(),
                request_id=request.request_id,
                max_documents=self._max_documents,
            )
            return cycle_report(self._registry, cycle)

        return cycle_to_wire(await asyncio.to_thread(start))

    async def GetCycle(self, request: cycle_pb2.GetCycleRequest, context: Any) -> cycle_pb2.Cycle:
        """Raises: InvalidArgument, NotFound."""
        tenant, cycle = names.cycle_of(request.name)
        return cycle_to_wire(await asyncio.to_thread(self._report, tenant, cycle))

    async def ListCycles(self, request: cycle_pb2.ListCyclesRequest, context: Any) -> cycle_pb2.ListCyclesResponse:
        """Raises: InvalidArgument, NotFound."""
        page = await asyncio.to_thread(
            self._registry.cycles.page,
            names.tenant_of(request.parent),
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        reports = [CycleReport(cycle=cycle) for cycle in page.items]
        return cycle_pb2.ListCyclesResponse(cycles=map(cycle_to_wire, reports), next_page_token=page.next_page_token)

    async def WatchCycle(
        self, request: cycle_pb2.WatchCycleRequest, context: Any
    ) -> AsyncIterator[cycle_pb2.WatchCycleResponse]:
        """Raises: InvalidArgument, NotFound, Unavailable (shutdown; after a while)."""
        tenant, cycle = names.cycle_of(request.name)

        def read() -> Cycle:
            return self._registry.cycles.get(tenant, cycle)

        states = follow(read, seconds=self._poll_seconds, draining=self._draining, life_seconds=self._watch_seconds)
        async for state in states:
            report = await asyncio.to_thread(cycle_report, self._registry, state)
            yield cycle_pb2.WatchCycleResponse(cycle=cycle_to_wire(report))
            if state.state not in OPEN:
                return

    async def ListSelfEdits(
        self, request: cycle_pb2.ListSelfEditsRequest, context: Any
    ) -> cycle_pb2.ListSelfEditsResponse:
        """Raises: InvalidArgument, NotFound."""
        tenant, cycle = names.cycle_of(request.parent, field="parent")
        size = page_size_of(request.page_size)
        start = position_of(request.page_token, request.parent)
        await asyncio.to_thread(self._registry.cycles.get, tenant, cycle)
        edits = await asyncio.to_thread(self._registry.cycles.self_edits, cycle)
        end = start + size
        return cycle_pb2.ListSelfEditsResponse(
            self_edits=map(self_edit_to_wire, edits[start:end]),
            next_page_token=position_token(request.parent, end) if end < len(edits) else "",
        )

    def _report(self, tenant: str, cycle: str) -> CycleReport:
        return cycle_report(self._registry, self._registry.cycles.get(tenant, cycle))
