"""What a request can name: tenants, their versions, the base model."""

import asyncio

from sealserve.records.reports import Model
from sealserve.records.versions import BASE_VERSION
from sealserve.registry.registry import Registry

MOST_VERSIONS = 100
MOST_TENANTS = 1000
"""Of these, a listing over all tenants names the first by name, without their versions."""


class Models:
    """Lists models, from the registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def of_tenant(self, tenant: str) -> tuple[tuple[Model, ...], int]:
        """Return the tenant's models, and its active version. Raises: NotFound, StorageFailed."""
        return await asyncio.to_thread(self._of_tenant, tenant)

    async def of_tenants(self, tenants: frozenset[str] | tuple[str, ...] | None) -> tuple[Model, ...]:
        """Return the models of these tenants; None: the names of all. Raises: StorageFailed."""
        if tenants is None:
            found = await asyncio.to_thread(
                self._registry.tenants.page, only=None, page_size=MOST_TENANTS, page_token=""
            )
            return tuple(Model(tenant=each.tenant, version=None, active=True) for each in found.items)
        listed = [await self.of_tenant(tenant) for tenant in sorted(tenants)]
        return tuple(model for models, _ in listed for model in models)

    def _of_tenant(self, tenant: str) -> tuple[tuple[Model, ...], int]:
        desired = self._registry.tenants.get(tenant).desired_version
        versions = self._registry.versions.answerable(tenant, most=MOST_VERSIONS)
        return (
            Model(tenant=tenant, version=None, active=True),
            *(Model(tenant=tenant, version=each, active=each == desired) for each in (BASE_VERSION, *versions)),
        ), desired
