"""Decides when a tenant whose version could not be loaded is tried again."""

import asyncio
from dataclasses import dataclass

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class _Failure:
    activation: int
    times: int
    until: float  # on the loop's clock


class BackOff:
    """Exponential back-off per tenant: one second, two, four, and so on. A new activation of the tenant is tried at
    once.
    """

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}

    def failed(self, tenant: str, activation: int, *, is_urgent: bool) -> None:
        """Record a failure. An urgent tenant never waits longer than after the first one."""
        times = self.failures(tenant) + 1
        seconds = FIRST_SECONDS if is_urgent else min(FIRST_SECONDS * 2 ** min(times - 1, 16), LONGEST_SECONDS)
        self._failures[tenant] = _Failure(activation, times, asyncio.get_running_loop().time() + seconds)

    def failures(self, tenant: str) -> int:
        """Return the number of consecutive failures."""
        found = self._failures.get(tenant)
        return found.times if found else 0

    def is_waiting(self, tenant: str, activation: int) -> bool:
        """Return whether it is too early to try this activation again."""
        return self.seconds_left(tenant, activation) > 0

    def seconds_left(self, tenant: str, activation: int) -> float:
        """Return in how many seconds this activation may be tried again; 0: now."""
        found = self._failures.get(tenant)
        if found is None or found.activation != activation:
            return 0.0
        return max(0.0, found.until - asyncio.get_running_loop().time())

    def forget(self, tenant: str) -> None:
        """Forget the tenant's failures."""
        self._failures.pop(tenant, None)

    def clear(self) -> None:
        """Forget all failures."""
        self._failures.clear()
