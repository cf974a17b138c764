"""Admits calls: bounds how many run and how many wait, per tenant and in all, and lets tenants take turns.

A call beyond the bounds is refused at once.
"""

import asyncio
import math
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
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

    A tenant of weight 2 gets two calls in for each one of a tenant of weight 1, while both wait, and may have twice as
    many inside; one of weight 0.5 half as many.
    """

    def __init__(
        self,
        *,
        max_running: int,
        max_queued_per_tenant: int,
        max_running_per_tenant: int | None = None,
        max_queued: int | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        """`weights` of tenants are above 0; those that are not named have 1."""
        self._weights = weights or {}
        self._credits: dict[str, float] = {}  # of tenants that wait: how many more calls they may get in this turn
        self._waiting = 0
        self._max_running = max_running
        self._max_queued = max_queued or max_running
        self._max_running_per_tenant = max_running_per_tenant or max_running
        self._max_queued_per_tenant = max_queued_per_tenant
        self._running: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[tuple[asyncio.Future[None], int]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many calls wait now."""
        return self._waiting

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
        places = min(places, self._max_running, self._share(tenant))
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
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(tenant, places)  # the places came together with the cancellation
            else:
                self._forget(tenant, turn)
            raise

    def _share(self, tenant: str) -> int:
        """Return how many places the tenant may hold."""
        return max(1, math.ceil(self._max_running_per_tenant * self._weight(tenant)))

    def _has_share(self, tenant: str, places: int) -> bool:
        return self._running[tenant] + places <= self._share(tenant)

    def _is_due(self, tenant: str) -> bool:
        """Whether the first in the tenant's queue waits for the others' places alone."""
        return self._has_share(tenant, self._queues[tenant][0][1])

    def _fits(self, tenant: str) -> bool:
        """Whether there are places for the first in the tenant's queue."""
        return self.running + self._queues[tenant][0][1] <= self._max_running

    def _weight(self, tenant: str) -> float:
        return self._weights.get(tenant, 1.0)

    def _require_room_to_wait(self, tenant: str) -> None:
        queued = len(self._queues.get(tenant, ()))
        if queued >= self._max_queued_per_tenant:
            raise QuotaExceeded(
                f"{self._max_queued_per_tenant} calls of this tenant are waiting", retry_seconds=RETRY_SECONDS
            )
        part = self._max_queued // (len(self._queues) + (tenant not in self._queues))
        if queued >= max(1, part) and self.waiting >= self._max_queued:
            raise Unavailable("the server's queue is full", retry_seconds=RETRY_SECONDS, reason="QUEUE_FULL")

    def _leave(self, tenant: str, places: int) -> None:
        self._running[tenant] -= places
        if not self._running[tenant]:
            del self._running[tenant]
        self._admit()

    def _admit(self) -> None:
        """Let in whoever may enter, tenants in turn. Nobody passes a call for several places: it would starve."""
        while (due := next(filter(self._is_due, self._queues), None)) is not None and self._fits(due):
            self._give_turn(due)

    def _give_turn(self, tenant: str) -> None:
        """Let in as many calls of the tenant as its weight says, now or when there are places again."""
        credit = self._credits.pop(tenant, 0.0)
        credit += self._weight(tenant) if credit < 1 else 0.0
        while credit >= 1 and tenant in self._queues and self._is_due(tenant) and self._fits(tenant):
            credit -= self._let_in(tenant)
        if tenant in self._queues:
            self._credits[tenant] = credit
            if credit < 1:
                self._queues.move_to_end(tenant)

    def _let_in(self, tenant: str) -> bool:
        """Let in the tenant's next call; False if nobody waits for it any more."""
        queue = self._queues[tenant]
        turn, places = queue.popleft()
        self._waiting -= 1
        if not queue:
            del self._queues[tenant]
        if turn.done():
            return False
        self._running[tenant] += places
        turn.set_result(None)
        return True

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(tenant)
        if queue is None:
            return
        for waiting in [each for each in queue if each[0] is turn]:
            queue.remove(waiting)
            self._waiting -= 1
        if not queue:
            del self._queues[tenant]
            self._credits.pop(tenant, None)
        self._admit()  # who waited behind a call for several places may fit
