"""AdapterService."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from sealserve.engine.engine import Engine
from sealserve.errors import InvalidArgument
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.proof.manifest import find_unknown_signers
from sealserve.records.inference import EngineInfo
from sealserve.records.rollouts import Traffic
from sealserve.records.tenants import Tenant
from sealserve.records.versions import BASE_VERSION, Activation, AdapterVersion, Observed
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import actor
from sealserve.rpc.page_tokens import page_size_of
from sealserve.rpc.polling import follow
from sealserve.v1 import adapter_pb2, adapter_pb2_grpc
from sealserve.wire import names, rollouts
from sealserve.wire.adapters import activation_to_wire, adapter_to_wire, base_adapter, report_to_wire

State = tuple[Tenant, tuple[Observed, ...]]


class AdapterService(adapter_pb2_grpc.AdapterServiceServicer):
    """Shows versions and moves a tenant's pointer. The engine is only asked what it runs."""

    def __init__(
        self,
        registry: Registry,
        *,
        engine: Engine,
        poll_seconds: float,
        draining: asyncio.Event,
        enforcer: PolicyEnforcer,
        watch_seconds: float = math.inf,
        resident_tenants: frozenset[str] = frozenset(),
    ) -> None:
        """A watch is ended after `watch_seconds`. Versions of `resident_tenants` stay loaded here."""
        self._registry = registry
        self._engine = engine
        self._poll_seconds = poll_seconds
        self._draining = draining
        self._watch_seconds = watch_seconds
        self._enforcer = enforcer
        self._resident_tenants = resident_tenants

    async def ListAdapters(
        self, request: adapter_pb2.ListAdaptersRequest, context: Any
    ) -> adapter_pb2.ListAdaptersResponse:
        """Raises: InvalidArgument, NotFound."""
        tenant = await asyncio.to_thread(self._registry.tenants.get, names.tenant_of(request.parent))
        page = await asyncio.to_thread(
            self._registry.versions.page,
            tenant.tenant,
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        active = tenant.desired_version
        remarks = await asyncio.to_thread(_remarks, self._registry, page.items)
        info = await self._engine.info()
        return adapter_pb2.ListAdaptersResponse(
            adapters=[
                adapter_to_wire(
                    self._as_it_is_here(one, info, is_active=one.version == active),
                    active=one.version == active,
                    remark=remarks.get(one.version, ""),
                )
                for one in page.items
            ],
            next_page_token=page.next_page_token,
            active_adapter=names.adapter_name(tenant.tenant, active),
            etag=tenant.etag,
        )

    async def GetAdapter(self, request: adapter_pb2.GetAdapterRequest, context: Any) -> adapter_pb2.Adapter:
        """Raises: InvalidArgument, NotFound."""
        name, version = names.adapter_of(request.name)
        tenant = await asyncio.to_thread(self._registry.tenants.get, name)
        is_active = tenant.desired_version == version
        info = await self._engine.info()
        if version == BASE_VERSION:
            return adapter_to_wire(base_adapter(tenant, base_digest=info.base_digest), active=is_active)
        found = await asyncio.to_thread(self._registry.versions.get, name, version)
        remarks = await asyncio.to_thread(_remarks, self._registry, [found])
        found = self._as_it_is_here(found, info, is_active=is_active)
        return adapter_to_wire(found, active=is_active, remark=remarks.get(version, ""))

    def _as_it_is_here(self, version: AdapterVersion, info: EngineInfo, *, is_active: bool) -> AdapterVersion:
        is_loaded = version.engine_name in info.loaded
        is_kept = is_loaded and is_active and version.tenant in self._resident_tenants
        return replace(version, is_loaded=is_loaded, stays_loaded=is_kept)

    async def PromoteAdapter(self, request: adapter_pb2.PromoteAdapterRequest, context: Any) -> adapter_pb2.Activation:
        """Raises: InvalidArgument, NotFound, FailedPrecondition, Conflict."""
        tenant, version = names.adapter_of(request.name)

        def promote() -> Activation:
            self._enforcer.require_promote(tenant, version, actor=actor())
            return self._registry.versions.promote(
                tenant,
                version,
                expected_etag=request.etag or None,
                actor=actor(),
                reason=request.reason,
                request_id=request.request_id,
            )

        return activation_to_wire(await asyncio.to_thread(promote))

    async def RollbackAdapter(
        self, request: adapter_pb2.RollbackAdapterRequest, context: Any
    ) -> adapter_pb2.Activation:
        """Raises: InvalidArgument, NotFound, FailedPrecondition, Conflict."""
        tenant = names.tenant_of(request.parent)
        to_version = _version_of(request.to_adapter, tenant) if request.to_adapter else None

        def rollback() -> Activation:
            self._enforcer.require_rollback(tenant, to_version, actor=actor(), reason=request.reason)
            return self._registry.versions.rollback(
                tenant,
                to_version=to_version,
                expected_etag=request.etag or None,
                actor=actor(),
                reason=request.reason,
                request_id=request.request_id,
            )

        return activation_to_wire(await asyncio.to_thread(rollback))

    async def GetTraffic(self, request: adapter_pb2.GetTrafficRequest, context: Any) -> adapter_pb2.Traffic:
        """Raises: InvalidArgument, NotFound."""
        tenant = names.tenant_of(request.parent)
        return rollouts.traffic_to_wire(await asyncio.to_thread(self._registry.rollouts.traffic, tenant))

    async def SetTraffic(self, request: adapter_pb2.SetTrafficRequest, context: Any) -> adapter_pb2.Traffic:
        """What the other version is given is taken back from the active one: the rules for rollbacks hold for it.

        Raises: InvalidArgument, NotFound, FailedPrecondition, Conflict.
        """
        tenant = names.tenant_of(request.parent)
        shares = rollouts.shares_from_wire(request, tenant=tenant)

        def share() -> Traffic:
            active = self._registry.tenants.get(tenant).desired_version
            for version in [one for one in shares if one != active and shares[one] > 0]:
                self._enforcer.require_rollback(tenant, version, actor=actor(), reason=request.reason)
            return self._registry.rollouts.set_traffic(
                tenant,
                shares,
                expected_etag=request.etag or None,
                actor=actor(),
                reason=request.reason,
                request_id=request.request_id,
            )

        return rollouts.traffic_to_wire(await asyncio.to_thread(share))

    async def ListActivations(
        self, request: adapter_pb2.ListActivationsRequest, context: Any
    ) -> adapter_pb2.ListActivationsResponse:
        """Raises: InvalidArgument, NotFound."""
        page = await asyncio.to_thread(
            self._registry.versions.activations,
            names.tenant_of(request.parent),
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return adapter_pb2.ListActivationsResponse(
            activations=map(activation_to_wire, page.items), next_page_token=page.next_page_token
        )

    async def WatchAdapters(
        self, request: adapter_pb2.WatchAdaptersRequest, context: Any
    ) -> AsyncIterator[adapter_pb2.WatchAdaptersResponse]:
        """Raises: InvalidArgument, NotFound, Unavailable (shutdown; after a while)."""
        tenant = names.tenant_of(request.parent)

        def read() -> State:
            return self._registry.tenants.get(tenant), self._registry.versions.observed(tenant)

        states = follow(
            read,
            seconds=self._poll_seconds,
            draining=self._draining,
            life_seconds=self._watch_seconds,
            is_same=_says_the_same,
        )
        async for owner, observed in states:
            yield report_to_wire(owner, observed)


def _remarks(registry: Registry, versions: Sequence[AdapterVersion]) -> dict[int, str]:
    """Return, by number, what keeps a version from being verified here."""
    unknown = find_unknown_signers(registry, versions)
    return {
        version: f"not loaded: signed by key {key}, which is not trusted here" for (_, version), key in unknown.items()
    }


def _version_of(adapter: str, tenant: str) -> int:
    owner, version = names.adapter_of(adapter, field="to_adapter")
    if owner != tenant:
        raise InvalidArgument("to_adapter must be one of the parent's adapters", field="to_adapter")
    return version


def _says_the_same(old: State, new: State) -> bool:
    """A replica that repeats itself is no news."""
    told = [{(one.replica, one.version, one.activation) for one in state[1]} for state in (old, new)]
    return old[0].activation == new[0].activation and told[0] == told[1]
