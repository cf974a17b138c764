"""Runs work under a lease that is renewed while the work runs. If the lease is lost, the work is cancelled.

This only saves effort: the registry fences every write of the work.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog

from sealserve.errors import FailedPrecondition, LeaseLost, StorageFailed
from sealserve.records.cycles import Claim
from sealserve.registry.registry import Registry
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)
T = TypeVar("T")

RENEWALS_PER_LEASE = 3


async def under_lease(registry: Registry, claim: Claim, work: Coroutine[Any, Any, T], *, lease_seconds: float) -> T:
    """Return what `work` returns, renewing `claim` meanwhile.

    Raises: LeaseLost, after `work` was cancelled and has ended; and whatever `work` raises.
    """
    return await _run_while_renewed(work, _renew_forever(registry, claim, lease_seconds=lease_seconds))


class NamedLease:
    """A lease by name: of `hold_named`."""

    def __init__(self, registry: Registry, name: str, *, lease_seconds: float) -> None:
        self._registry = registry
        self._name = name
        self._holder = uuid.uuid4().hex
        self._lease_seconds = lease_seconds

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """As `under_lease`."""
        return await _run_while_renewed(work, self._renew_forever())

    async def hold(self, lease_seconds: float) -> bool:
        """Take it or renew it for so long; False while somebody else holds it. Raises: StorageFailed."""
        return await asyncio.to_thread(
            self._registry.hold, self._name, holder=self._holder, lease_seconds=lease_seconds
        )

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / RENEWALS_PER_LEASE)
            try:
                is_held = await self.hold(self._lease_seconds)
            except StorageFailed as error:
                _LOG.warning(LogEvent.LEASE_NOT_RENEWED, name=self._name, error=error.message)
                continue
            if not is_held:
                _LOG.warning(LogEvent.LEASE_LOST, name=self._name)
                raise LeaseLost(f"the lease {self._name} ran out and somebody else has it now")


@asynccontextmanager
async def hold_named(
    registry: Registry, name: str, *, lease_seconds: float, busy: FailedPrecondition
) -> AsyncIterator[NamedLease]:
    """Give the lease `name`, taken, and free it afterwards; one that cannot be freed runs out by itself.

    Raises: `busy` (somebody else holds it), StorageFailed (it cannot be taken).
    """
    lease = NamedLease(registry, name, lease_seconds=lease_seconds)
    if not await lease.hold(lease_seconds):
        raise busy
    try:
        yield lease
    finally:
        try:
            await lease.hold(0.0)
        except StorageFailed as error:
            _LOG.warning(LogEvent.LEASE_NOT_RELEASED, name=name, error=error.message)


async def _run_while_renewed(work: Coroutine[Any, Any, T], keep: Coroutine[Any, Any, None]) -> T:
    """Return what `work` returns. Raises: what `keep` raises, after `work` was cancelled and has ended."""
    working, keeping = asyncio.ensure_future(work), asyncio.ensure_future(keep)
    try:
        await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            keeping.result()
        return await working
    finally:
        for task in (working, keeping):
            task.cancel()
        await asyncio.gather(working, keeping, return_exceptions=True)


async def _renew_forever(registry: Registry, claim: Claim, *, lease_seconds: float) -> None:
    """Renew for ever. Raises: LeaseLost."""
    while True:
        await asyncio.sleep(lease_seconds / RENEWALS_PER_LEASE)
        try:
            await asyncio.to_thread(registry.cycles.renew, claim, lease_seconds=lease_seconds)
        except StorageFailed as error:
            _LOG.warning(LogEvent.LEASE_NOT_RENEWED, cycle=claim.cycle, error=error.message)
        except LeaseLost:
            _LOG.warning(LogEvent.LEASE_LOST, cycle=claim.cycle)
            raise
