"""Who may enter: so many calls at once, a bounded queue per tenant and in all, and turns between tenants.

Refuses at once rather than queueing without end.
"""

import asyncio
from collections import OrderedDict, deque
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
    """At most `max_running` calls inside, at most that many more waiting, at most `max_queued` of one tenant."""

    def __init__(self, *, max_running: int, max_queued_per_tenant: int) -> None:
        self._max_running = max_running
        self._max_queued = max_queued_per_tenant
        self._running = 0
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many calls wait now."""
        return sum(map(len, self._queues.values()))

    @property
    def running(self) -> int:
        """How many calls are inside now."""
        return self._running

    @asynccontextmanager
    async def entered(self, tenant: str, *, deadline: float) -> AsyncIterator[None]:
        """Run the body inside; waits for a place, tenants taking turns. `deadline` bounds the wait alone.

        Raises: QuotaExceeded (this tenant's queue is full), Unavailable (everybody's is), DeadlineExceeded.
        """
        async with until(deadline):
            await self._enter(tenant)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, tenant: str) -> None:
        if self._running < self._max_running and not self._queues:
            self._running += 1
            return
        queue = self._queues.get(tenant, deque())
        if len(queue) >= self._max_queued:
            raise QuotaExceeded(f"{self._max_queued} calls of this tenant are waiting", retry_seconds=RETRY_SECONDS)
        if self.waiting >= self._max_running:
            raise Unavailable("the server's queue is full", retry_seconds=RETRY_SECONDS, reason="QUEUE_FULL")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, queue).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # the place came together with the cancellation
            else:
                self._forget(tenant, turn)
            raise

    def _leave(self) -> None:
        self._running -= 1
        while self._queues and self._running < self._max_running:
            tenant, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            self._queues.move_to_end(tenant)
            if not queue:
                del self._queues[tenant]
            if not turn.done():
                self._running += 1
                turn.set_result(None)

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(tenant)
        if queue and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[tenant]
