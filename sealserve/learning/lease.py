"""Work under a lease that is renewed while the work runs, and ends when the lease does.

Knows nothing of the work. The fence in the registry is what protects; this only saves effort.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from sealserve.errors import LeaseLost, StorageFailed
from sealserve.records import Claim
from sealserve.registry.registry import Registry

_LOG = structlog.get_logger(__name__)
T = TypeVar("T")

RENEWALS_PER_LEASE = 3


async def under_lease(registry: Registry, claim: Claim, work: Coroutine[Any, Any, T], *, lease_seconds: float) -> T:
    """Return what `work` returns, renewing `claim` meanwhile.

    Raises: LeaseLost, after `work` was cancelled and has ended; and whatever `work` raises.
    """
    working = asyncio.ensure_future(work)
    keeping = asyncio.ensure_future(_keep(registry, claim, lease_seconds=lease_seconds))
    try:
        await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            keeping.result()
        return await working
    finally:
        for task in (working, keeping):
            task.cancel()
        await asyncio.gather(working, keeping, return_exceptions=True)


async def _keep(registry: Registry, claim: Claim, *, lease_seconds: float) -> None:
    """Renew for ever. Raises: LeaseLost."""
    while True:
        await asyncio.sleep(lease_seconds / RENEWALS_PER_LEASE)
        try:
            await asyncio.to_thread(registry.renew, claim, lease_seconds=lease_seconds)
        except StorageFailed as error:
            _LOG.warning("lease.not_renewed", cycle=claim.cycle, reason=error.message)
        except LeaseLost:
            _LOG.warning("lease.lost", cycle=claim.cycle)
            raise
