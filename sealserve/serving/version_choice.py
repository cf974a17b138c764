"""Checks that a version which a request names may answer and is loaded here."""

import asyncio
from collections.abc import Callable

from sealserve.engine.engine import Engine
from sealserve.errors import Unavailable
from sealserve.records.versions import BASE_VERSION, AdapterVersion
from sealserve.serving.adapter_table import AdapterTable, Route

RETRY_SECONDS = 5.0


class VersionChoice:
    """Finds routes to versions that are not a tenant's active one."""

    def __init__(self, engine: Engine, table: AdapterTable, *, require: Callable[[str, int], AdapterVersion]) -> None:
        """`require` blocks, and raises for a version that may not answer (`Versions.require_answerable`)."""
        self._engine = engine
        self._table = table
        self._require = require

    async def route(self, tenant: str, version: int) -> Route:
        """Return the route to `version` of `tenant`; it is loaded.

        Raises: NotFound, FailedPrecondition (it may not answer), Unavailable (it is not loaded here), StorageFailed.
        """
        active = self._table.route(tenant)
        activation = active.activation if active else 0
        if version == BASE_VERSION:
            return Route(tenant=tenant, version=version, activation=activation, engine_name=None)
        found = await asyncio.to_thread(self._require, tenant, version)
        if found.engine_name not in (await self._engine.info()).loaded:
            text = f"v{version} is not loaded here; ask for the active version, or promote it first"
            raise Unavailable(text, reason="VERSION_NOT_LOADED", retry_seconds=RETRY_SECONDS)
        return Route(
            tenant=tenant,
            version=version,
            activation=activation,
            engine_name=found.engine_name,
            origin=found.lineage.traceparent or "",
        )
