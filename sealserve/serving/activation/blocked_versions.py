"""The alarm for versions that cannot be loaded before an operator acts. No version is quarantined, and no pointer
moves.

Requests for a version that cannot be loaded because the registry cannot be read are told so, too.
"""

import structlog

from sealserve.errors import StorageFailed, Unavailable
from sealserve.records.rollouts import Desired
from sealserve.serving.activation.tenant_states import TenantStates
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import LogEvent

RETRY_SECONDS = 30.0
"""What a caller is told to wait for an operator."""

REGISTRY_FAILURES = 2
"""A tenant's requests are told after so many failed reads in a row, since a single one may be a moment's."""


class BlockedVersions:
    """Use it from one event loop."""

    def __init__(self, states: TenantStates, *, telemetry: Telemetry) -> None:
        self._states = states
        self._telemetry = telemetry
        self._reasons: dict[str, str] = {}  # tenant -> why its version waits for an operator
        self._unread: set[str] = set()  # tenants whose versions wait for the registry
        self._log = structlog.get_logger("sealserve.activator")

    def add(self, desired: Desired, why: Unavailable) -> None:
        """Raise the alarm, once for each reason, and tell the requests that wait; a route before goes on."""
        tenant = desired.tenant
        if self._reasons.get(tenant) != why.message:
            self._reasons[tenant] = why.message
            self._log.error(
                LogEvent.VERSION_NOT_LOADED,
                tenant=tenant,
                version=desired.version,
                reason=why.reason,
                error=why.message,
            )
        text = "the version that should answer cannot be loaded before an operator acts"
        self._states.table.explain(tenant, Unavailable(text, reason=why.reason, retry_seconds=RETRY_SECONDS))
        self._states.residency.refuse(tenant)
        self._telemetry.metrics.versions_not_loaded(len(self._reasons))

    def wait_for_registry(self, tenant: str) -> None:
        """The registry could not be read for the tenant's version: tell the requests that wait, if it lasts."""
        if self._states.back_off.failures(tenant) < REGISTRY_FAILURES:
            return
        text = "the registry cannot be read, and the version that should answer is not loaded; loaded ones answer"
        why = Unavailable(text, reason=StorageFailed.reason, retry_seconds=RETRY_SECONDS / REGISTRY_FAILURES)
        self._unread.add(tenant)
        self._states.table.explain(tenant, why)
        self._states.residency.refuse(tenant)

    def registry_was_read(self) -> None:
        """Have the versions that wait for the registry loaded when they are asked for."""
        for tenant in self._unread:
            self._states.table.explain(tenant, None)
            self._states.back_off.forget(tenant)
        self._unread.clear()

    def remove(self, tenant: str) -> None:
        """End the tenant's alarm: its version was loaded."""
        self._reasons.pop(tenant, None)
        self._telemetry.metrics.versions_not_loaded(len(self._reasons))
