"""Serving in this process, as `sealserve serve` puts it together, with its parts at hand for a figure.

Knows nothing of what is measured.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sealserve.daemon.local import free_address
from sealserve.engine.base_model import model_directory
from sealserve.engine.engine import Engine
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.gate.thresholds import WatchRule
from sealserve.intake.inbox import Inbox
from sealserve.local_tokens import admin_secret, internal_secret
from sealserve.registry.registry import Registry
from sealserve.rollout.controller import RolloutController
from sealserve.rpc.server import RpcServer
from sealserve.serving.activator import Activator
from sealserve.serving.adapter_table import AdapterTable
from sealserve.serving.admission import Admission
from sealserve.serving.answers import Answers
from sealserve.serving.gated_engine import GatedEngine
from sealserve.serving.salt import TenantSalts
from sealserve.serving.slot_gate import SlotGate
from sealserve.settings.engine import EngineSettings
from sealserve.settings.serve import ServeSettings
from sealserve.settings.settings import Settings
from sealserve.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running server and its parts."""

    settings: Settings
    address: str
    token: str
    internal_token: str
    base: Path
    engine: Engine
    registry: Registry
    activator: Activator
    watcher: RolloutController | None  # not running yet; None unless the site was opened with a rule for it


@asynccontextmanager
async def open_site(
    directory: Path, *, dtype: str = "auto", max_sequences: int = 64, watch: WatchRule | None = None
) -> AsyncIterator[Site]:
    """Run the body with a server on the loopback; its activator is not running yet. Raises: EngineFailed."""
    settings = Settings(
        data_directory=directory,
        serve=ServeSettings(address=free_address()),
        engine=EngineSettings(dtype=dtype, max_sequences=max_sequences),
    )
    async with AsyncExitStack() as stack:
        registry = Registry.open(settings.registry_url, settings.artifact_directory)
        stack.callback(registry.close)
        base = model_directory(settings.engine.model)
        vllm = VllmEngine(settings.engine, base=base)
        stack.push_async_callback(vllm.close)
        await vllm.start()
        slots = SlotGate(slots=settings.engine.slots)
        engine, table = GatedEngine(vllm, slots), AdapterTable()
        watcher = _watcher(settings, registry, engine, table=table, rule=watch, slots=slots) if watch else None
        activator = _activator(settings, registry, engine, table=table, watcher=watcher)
        if watcher is not None:
            watcher.on_moved = activator.wake
        await activator.settle()
        server = RpcServer(settings.serve, find_token=registry.tokens.find)
        server.add_engine_service(engine, materialise=registry.artifacts.materialise)
        server.add_tenant_services(
            registry,
            answers=_answers(settings, registry, engine, table=table, watcher=watcher),
            inbox=Inbox(registry, settings.intake, telemetry=Telemetry.off()),
            engine=engine,
            max_documents_per_cycle=settings.learn.max_documents_per_cycle,
            salt=TenantSalts.open(settings.data_directory / "salt.key").salt,
        )
        await server.start()
        stack.push_async_callback(server.stop)
        yield Site(
            settings=settings,
            address=settings.serve.address,
            token=admin_secret(directory, registry.tokens.enrol),
            internal_token=internal_secret(directory, registry.tokens.enrol),
            base=base,
            engine=engine,
            registry=registry,
            activator=activator,
            watcher=watcher,
        )


def _watcher(
    settings: Settings, registry: Registry, engine: Engine, *, table: AdapterTable, rule: WatchRule, slots: SlotGate
) -> RolloutController:
    return RolloutController(
        registry,
        engine,
        table=table,
        salts=TenantSalts.open(settings.data_directory / "salt.key"),
        rule=rule,
        replica=settings.serve.replica,
        is_busy=lambda: slots.waiting > 0,
    )


def _activator(
    settings: Settings, registry: Registry, engine: Engine, *, table: AdapterTable, watcher: RolloutController | None
) -> Activator:
    return Activator(
        registry,
        engine,
        table=table,
        replica=settings.serve.replica,
        poll_seconds=settings.serve.poll_seconds,
        rollback_window_seconds=settings.serve.rollback_window_seconds,
        find_standby=watcher.standby if watcher else None,
    )


def _answers(
    settings: Settings, registry: Registry, engine: Engine, *, table: AdapterTable, watcher: RolloutController | None
) -> Answers:
    return Answers(
        engine,
        table,
        admission=Admission(
            max_running=settings.serve.max_concurrent_requests,
            max_queued_per_tenant=settings.serve.max_queued_per_tenant,
        ),
        salts=TenantSalts.open(settings.data_directory / "salt.key"),
        find_tenant=registry.tenants.get,
        default_deadline_seconds=settings.serve.default_deadline_seconds,
        listener=watcher,
    )
