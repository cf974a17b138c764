"""Holds a request until its tenant's version is loaded, and keeps the version loaded while the request may need it.

A tenant whose version is not loaded is asked for; its requests wait, bounded in number and time, and all enter when it
has arrived. They wait before admission, so that a crowd of tenants that have to be loaded takes no place of those that
are. The base model never stands in for a version.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sealserve.errors import DeadlineExceeded, QuotaExceeded, Unavailable
from sealserve.serving.activation.residents import Residents
from sealserve.serving.adapter_table import AdapterTable
from sealserve.serving.admission import RETRY_SECONDS, until

MAX_WAITING = 4096
"""Requests of all tenants that may wait for a version to be loaded."""


class Residency:
    """Use it from one event loop. `meet` and `ask` are the activator's."""

    def __init__(
        self, table: AdapterTable, residents: Residents, *, wait_seconds: float, max_waiting_per_tenant: int = 32
    ) -> None:
        self._table = table
        self._residents = residents
        self._wait_seconds = wait_seconds
        self._max_waiting_per_tenant = max_waiting_per_tenant
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._waiting_count = 0
        self.meet: Callable[[str], Awaitable[None]] = _nothing_to_do
        self.ask: Callable[[str], None] = lambda tenant: None

    @property
    def waiting(self) -> int:
        """How many requests wait now."""
        return self._waiting_count

    def waited_for(self) -> tuple[str, ...]:
        """Return the tenants whose versions requests wait for."""
        return tuple(self._waiting)

    def is_waited_for(self, tenant: str) -> bool:
        """Return whether a request waits for the tenant's version."""
        return tenant in self._waiting

    @asynccontextmanager
    async def held(self, tenant: str, *, deadline: float) -> AsyncIterator[float]:
        """Run the body while the tenant's version stays loaded; gives the seconds that were waited for it.

        Raises: NotFound (tenant), Unavailable (ADAPTER_LOADING: it was not loaded in time; or why it cannot be),
        QuotaExceeded (too many requests of the tenant wait), DeadlineExceeded (`deadline` passed), StorageFailed.
        """
        began = asyncio.get_running_loop().time()
        if not self._table.is_known(tenant):
            async with until(deadline):
                await self.meet(tenant)
        is_waiting = self._must_wait(tenant)
        if is_waiting:
            await self._wait(tenant, deadline=deadline)
        else:
            self._residents.hold(tenant)
        try:
            yield asyncio.get_running_loop().time() - began if is_waiting else 0.0
        finally:
            self._residents.release(tenant)

    def arrived(self, tenant: str) -> None:
        """The tenant has a route: let in who waits for it."""
        for turn in self._waiting.pop(tenant, ()):
            self._waiting_count -= 1
            if not turn.done():
                self._residents.hold(tenant)
                turn.set_result(None)

    def refuse(self, tenant: str) -> None:
        """The tenant's version cannot be loaded now: tell who waits for it why, as the table explains it."""
        for turn in self._waiting.pop(tenant, ()):
            self._waiting_count -= 1
            why = self._table.reason(tenant)
            if not turn.done() and why is not None:
                turn.set_exception(why)

    def _must_wait(self, tenant: str) -> bool:
        return self._table.route(tenant) is None or self._residents.is_closed(tenant)

    async def _wait(self, tenant: str, *, deadline: float) -> None:
        if (why := self._table.reason(tenant)) or self._wait_seconds <= 0:
            self.ask(tenant)
            raise why or _too_late(self._waiting_count)
        turn = self._line_up(tenant)
        self.ask(tenant)
        patience = asyncio.get_running_loop().time() + self._wait_seconds
        has_entered = False
        try:
            async with asyncio.timeout_at(min(patience, deadline)):
                await turn
            has_entered = True
        except TimeoutError as error:
            raise (_late() if deadline <= patience else _too_late(self._waiting_count)) from error
        finally:
            if not has_entered:
                self._leave_line(tenant, turn)

    def _leave_line(self, tenant: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._residents.release(tenant)  # its turn came together with the cancellation
        else:
            self._forget(tenant, turn)

    def _line_up(self, tenant: str) -> asyncio.Future[None]:
        waiting = self._waiting.get(tenant, ())
        if len(waiting) >= self._max_waiting_per_tenant:
            text = f"{len(waiting)} calls of this tenant wait for its version to be loaded"
            raise QuotaExceeded(text, retry_seconds=RETRY_SECONDS)
        if self._waiting_count >= MAX_WAITING and waiting:
            raise Unavailable("the server's queue is full", retry_seconds=RETRY_SECONDS, reason="QUEUE_FULL")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        self._waiting_count += 1
        return turn

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(tenant)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            self._waiting_count -= 1
            if not waiting:
                del self._waiting[tenant]


async def _nothing_to_do(tenant: str) -> None:
    return


def _late() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline passed before the version that should answer was loaded")


def _too_late(waiting: int) -> Unavailable:
    """The more requests wait, the longer the advised delay before a retry."""
    retry_seconds = RETRY_SECONDS + min(waiting, 300) / 10
    return Unavailable(
        "the version that should answer is being loaded", reason="ADAPTER_LOADING", retry_seconds=retry_seconds
    )
