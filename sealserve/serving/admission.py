"""Who may enter: so many calls at once, a bounded queue per tenant and in all, and turns between tenants.

Refuses at once rather than queueing without end.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sealserve.errors import DeadlineExceeded, QuotaExceeded, Unavailable

RETRY_SECONDS = 1.0


@asynccontextmanager
async def until(deadline: float) -> AsyncIterator[None]:
    """Run the body until `deadline`, a moment of the event loop's clock. Raises: DeadlineExceeded."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded("the deadline passed before the answer was complete") from error


class Admission:
    """At most `max_running` calls inside, of one tenant at most `max_running_per_tenant`; the others wait in turn.

    The rest is kept for tenants that may come. At most `max_queued_per_tenant` of one tenant wait, and once
    `max_queued` (as many as may run, if not given) wait in all, none may add to more than its part of them.
    """

    def __init__(
        self,
        *,
        max_running: int,
        max_queued_per_tenant: int,
        max_running_per_tenant: int | None = None,
        max_queued: int | None = None,
    ) -> None:
        self._max_running = max_running
        self._max_queued = max_queued or max_running
        self._max_running_per_tenant = max_running_per_tenant or max_running
        self._max_queued_per_tenant = max_queued_per_tenant
        self._running: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[tuple[asyncio.Future[None], int]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many calls wait now."""
        return sum(map(len, self._queues.values()))

    @property
    def running(self) -> int:
        """How many calls are inside now."""
        return self._running.total()

    @asynccontextmanager
    async def entered(self, tenant: str, *, deadline: float, places: int = 1) -> AsyncIterator[None]:
        """Run the body inside; waits for its places, tenants taking turns. `deadline` bounds the wait alone.

        A call that gives several answers takes a place for each, or all that its tenant may have.

        Raises: QuotaExceeded (this tenant's queue is full), Unavailable (everybody's is), DeadlineExceeded.
        """
        places = min(places, self._max_running, self._max_running_per_tenant)
        async with until(deadline):
            await self._enter(tenant, places)
        try:
            yield
        finally:
            self._leave(tenant, places)

    async def _enter(self, tenant: str, places: int) -> None:
        is_first = tenant not in self._queues and not any(map(self._is_due, self._queues))
        if is_first and self._has_share(tenant, places) and self.running + places <= self._max_running:
            self._running[tenant] += places
            return
        self._require_room_to_wait(tenant)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append((turn, places))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(tenant, places)  # the places came together with the cancellation
            else:
                self._forget(tenant, turn)
            raise

    def _has_share(self, tenant: str, places: int) -> bool:
        return self._running[tenant] + places <= self._max_running_per_tenant

    def _is_due(self, tenant: str) -> bool:
        """Whether the first in the tenant's queue waits for the others' places alone."""
        return self._has_share(tenant, self._queues[tenant][0][1])

    def _require_room_to_wait(self, tenant: str) -> None:
        queued = len(self._queues.get(tenant, ()))
        if queued >= self._max_queued_per_tenant:
            raise QuotaExceeded(
                f"{self._max_queued_per_tenant} calls of this tenant are waiting", retry_seconds=RETRY_SECONDS
            )
        part = self._max_queued // len({*self._queues, tenant})
        if queued >= max(1, part) and self.waiting >= self._max_queued:
            raise Unavailable("the server's queue is full", retry_seconds=RETRY_SECONDS, reason="QUEUE_FULL")

    def _leave(self, tenant: str, places: int) -> None:
        self._running[tenant] -= places
        if not self._running[tenant]:
            del self._running[tenant]
        self._admit()

    def _admit(self) -> None:
        """Let in whoever may enter, tenants in turn. Nobody passes a call for several places: it would starve."""
        while (due := next(filter(self._is_due, self._queues), None)) is not None:
            queue = self._queues[due]
            turn, places = queue[0]
            if self.running + places > self._max_running:
                return
            queue.popleft()
            self._queues.move_to_end(due)
            if not queue:
                del self._queues[due]
            if not turn.done():
                self._running[due] += places
                turn.set_result(None)

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(tenant)
        if queue is None:
            return
        for waiting in [each for each in queue if each[0] is turn]:
            queue.remove(waiting)
        if not queue:
            del self._queues[tenant]
        self._admit()  # who waited behind a call for several places may fit
