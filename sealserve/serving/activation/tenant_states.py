"""What one replica knows of its tenants, for the parts of the activator that share it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sealserve.engine.engine import Engine
from sealserve.registry.registry import Registry
from sealserve.serving.activation.back_off import BackOff
from sealserve.serving.activation.knowledge import Knowledge
from sealserve.serving.activation.residents import Residents
from sealserve.serving.activation.retirement import Retirement
from sealserve.serving.activation.withdrawal import Withdrawal
from sealserve.serving.adapter_table import AdapterTable
from sealserve.serving.residency import Residency


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivatorSettings:
    """The settings of one replica's activator. `replica` is its name in the registry.

    `loaded_adapters` are the engine's places, which `resident_tenants` never leave. Requests wait for a version for
    `adapter_wait_seconds` at most, and at most `max_waiting_per_tenant` of each tenant.
    """

    replica: str
    poll_seconds: float
    rollback_window_seconds: float
    loaded_adapters: int = 64
    resident_tenants: Sequence[str] = ()
    adapter_wait_seconds: float = 30.0
    max_waiting_per_tenant: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStates:
    """Use it from one event loop."""

    knowledge: Knowledge  # what should answer each tenant
    table: AdapterTable  # what answers each tenant
    residents: Residents  # tenants whose versions are loaded
    residency: Residency  # requests that wait for a version
    retirement: Retirement  # adapters that answered before
    withdrawal: Withdrawal  # tenants whose version was revoked
    back_off: BackOff  # tenants whose version could not be loaded

    @classmethod
    def of_new_replica(
        cls, registry: Registry, engine: Engine, table: AdapterTable, settings: ActivatorSettings
    ) -> "TenantStates":
        """Return the state of a replica that has loaded nothing."""
        residents = Residents(kept=settings.resident_tenants)
        retirement = Retirement(engine, table, window_seconds=settings.rollback_window_seconds)
        residency = Residency(
            table,
            residents,
            wait_seconds=settings.adapter_wait_seconds,
            max_waiting_per_tenant=settings.max_waiting_per_tenant,
        )
        return cls(
            knowledge=Knowledge(registry),
            table=table,
            residents=residents,
            residency=residency,
            retirement=retirement,
            withdrawal=Withdrawal(registry, table, residents=residents, retirement=retirement),
            back_off=BackOff(),
        )
