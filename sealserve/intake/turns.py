"""Who is read next: so many documents at once, at most half of the places for one tenant, and turns between tenants."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


class Turns:
    """Runs blocking work in threads of its own. A tenant never holds so many places that others wait for it."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._places_per_tenant = max(1, places // 2)
        self._taken: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._threads = ThreadPoolExecutor(max_workers=places, thread_name_prefix="intake")

    async def run(self, tenant: str, work: Callable[[], T]) -> T:
        """Return what `work` returns, once it is the tenant's turn. Work that has begun keeps its place to its end,
        even if the caller has gone.
        """
        async with self._place(tenant):
            running = asyncio.get_running_loop().run_in_executor(self._threads, work)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.wait({running})
                running.exception()  # nobody is left to be told
                raise

    @asynccontextmanager
    async def _place(self, tenant: str) -> AsyncIterator[None]:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        self._give()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._taken[tenant] -= 1
                self._taken += Counter()  # forgets tenants that hold no place
            self._give()

    def _give(self) -> None:
        """Give free places to those who wait; a tenant that got one goes to the end of the line."""
        while self._taken.total() < self._places:
            tenant = next((name for name in self._waiting if self._taken[name] < self._places_per_tenant), None)
            if tenant is None:
                return
            turn = self._waiting[tenant].popleft()
            self._waiting.move_to_end(tenant)
            if not self._waiting[tenant]:
                del self._waiting[tenant]
            if not turn.done():
                self._taken[tenant] += 1
                turn.set_result(None)
