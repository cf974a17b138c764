"""Loads versions because requests wait for them: which tenant is next, and when one is tried again."""

import asyncio
from collections.abc import Callable

from sealserve.records.rollouts import Desired
from sealserve.records.versions import BASE_VERSION
from sealserve.serving.activation.load_queue import LoadQueue
from sealserve.serving.activation.tenant_states import TenantStates
from sealserve.serving.activation.withdrawal import base_route

LOADS_AT_ONCE = 8
"""Versions that were asked for and are loaded at the same time: some are found and checked while others wait for a
place or for the engine's step to end."""

_ASK_AGAIN_SECONDS = 0.05  # after an attempt that ended without a route


class RequestedLoads:
    """Use it from one event loop."""

    def __init__(
        self, states: TenantStates, *, is_active: Callable[[str], bool], start: Callable[[Desired], None]
    ) -> None:
        """`is_active` says whether a task for the tenant runs; `start` starts one, which calls `ended` at its end."""
        self._states = states
        self._is_active = is_active
        self._start = start
        self._queue = LoadQueue(clock=lambda: asyncio.get_running_loop().time())
        self._loading: set[str] = set()

    def __len__(self) -> int:
        return len(self._queue) + len(self._loading)

    def is_loading(self, tenant: str) -> bool:
        """Return whether the tenant's version is being loaded because it was asked for."""
        return tenant in self._loading

    async def meet(self, tenant: str) -> None:
        """Find out what should answer the tenant; the base model does at once. Raises: NotFound, StorageFailed."""
        desired = await self._states.knowledge.find(tenant)
        if self._states.table.route(tenant) is not None:
            return
        if desired.version == BASE_VERSION and desired.standby is None:
            self._states.table.swap(base_route(desired))
        else:
            self._states.table.expect((tenant,))

    def ask(self, tenant: str) -> None:
        """Have the tenant's version loaded when it is its turn; one whose door is closed has to leave first."""
        if not self._states.residents.is_closed(tenant):
            self._queue.add(tenant, is_returning=self._states.residents.is_returning(tenant))
        self._load_next()

    def ask_if_waited_for(self, tenant: str) -> None:
        """Ask again if a request waits for the tenant's version."""
        if self._states.residency.is_waited_for(tenant):
            self.ask(tenant)

    def ended(self, desired: Desired, *, is_cancelled: bool) -> None:
        """The tenant's task has ended, whether it was asked for or not. After a cancelled one nothing is loaded."""
        self._loading.discard(desired.tenant)
        if is_cancelled:
            return
        if self._states.residency.is_waited_for(desired.tenant):
            self._ask_later(desired.tenant, self._seconds_left(desired))
        self._load_next()

    def _load_next(self) -> None:
        states = self._states
        while len(self._loading) < LOADS_AT_ONCE and (tenant := self._queue.pop()) is not None:
            desired = states.knowledge.get(tenant)
            if desired is None or self._is_active(tenant) or states.table.route(tenant) is not None:
                continue
            seconds = self._seconds_left(desired)
            if seconds > 0:
                self._ask_later(tenant, seconds)
                continue
            self._loading.add(tenant)
            self._start(desired)
        if not self._loading:
            for opened in states.residents.open_all():  # nobody wants their places any more
                states.residency.arrived(opened)

    def _seconds_left(self, desired: Desired) -> float:
        return self._states.back_off.seconds_left(desired.tenant, desired.activation)

    def _ask_later(self, tenant: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(max(seconds, _ASK_AGAIN_SECONDS), self.ask_if_waited_for, tenant)
