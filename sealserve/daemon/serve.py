"""What `serve` is made of, put together once: for the command, and for benches that measure a server in-process."""

import asyncio
import math
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from sealserve.base_models.fitness import refusal
from sealserve.daemon.lifetime import run_to_end, until_stopped
from sealserve.daemon.storage import keep_private, open_registry, sign_heads
from sealserve.engine.base_model import base_shape, model_directory
from sealserve.engine.engine import Engine
from sealserve.engine.memory_plan import plan_here, with_room
from sealserve.engine.supervised import SupervisedEngine, Suspicion
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.errors import BadConfig
from sealserve.gate.thresholds import Policy, load_policy
from sealserve.intake.inbox import Inbox
from sealserve.intake.watched_directory import DirectorySource
from sealserve.local_tokens import admin_secret, internal_secret
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.policy.rulebook import open_rules
from sealserve.proof.manifest import Seals
from sealserve.registry.registry import Registry
from sealserve.rollout.controller import Replica, RolloutController
from sealserve.rpc.server import RpcServer, ServiceParts
from sealserve.serving.activation.measured_engine import MeasuredEngine
from sealserve.serving.activation.tenant_states import ActivatorSettings
from sealserve.serving.activator import Activator
from sealserve.serving.adapter_table import AdapterTable
from sealserve.serving.admission import Admission
from sealserve.serving.answer_log import AnswerLog
from sealserve.serving.answers import AnswerParts, Answers
from sealserve.serving.background_gate import BackgroundGate
from sealserve.serving.gated_engine import GatedEngine
from sealserve.serving.presence import Presence
from sealserve.serving.salt import TenantSalts
from sealserve.serving.slot_gate import SlotGate
from sealserve.serving.version_choice import VersionChoice
from sealserve.settings.settings import Settings
from sealserve.sources.source_runner import SourceRunner
from sealserve.telemetry import Telemetry, start_telemetry
from sealserve.telemetry.names import LogEvent

REGISTRY_THREADS = 16
"""Threads of `asyncio.to_thread`, which is for the registry; tokenising and intake have their own."""

PAGE_TOKENS = "page tokens"
"""What their key is the salt of; no tenant has such a name."""

_log = structlog.get_logger(__name__)


class ServeParts:
    """What answers, behind the listener; `serving` makes it."""

    http_port = 0
    """Where OpenAI's API is spoken; 0: nowhere."""

    def __init__(self, settings: Settings, registry: Registry, telemetry: Telemetry) -> None:
        self.settings = settings
        self.registry = registry
        self.telemetry = telemetry
        self.base_directory = base = model_directory(settings.engine.model)
        endpoint = settings.telemetry.otlp_endpoint
        self.engine = SupervisedEngine(
            lambda: VllmEngine(settings.engine, base=base, otlp_endpoint=endpoint),
            settings=settings.engine,
            on_suspect=self._judge_suspects,
            telemetry=telemetry,
        )
        admission, slots, background = _make_gates(settings)
        self.gated = GatedEngine(self.engine, slots, background)
        self.table = AdapterTable()
        self.salts = TenantSalts.open(settings.data_directory / "salt.key")
        self.seals = Seals.open(settings.data_directory, registry)
        self.enforcer = PolicyEnforcer(registry, open_rules(settings.policy.rules), seals=self.seals)
        self.inbox = Inbox(registry, settings.intake, refuse=self.enforcer.refuse_document, telemetry=telemetry)
        self.sources = _source_runner(self.inbox, settings, registry, telemetry)
        policy = load_policy(settings.policy.thresholds)
        self.watch_rule = policy.watch
        self.resident_tenants = _resident_tenants(settings, policy)
        replica = Replica(
            name=settings.serve.replica_name(),
            engine=self.gated,
            table=self.table,
            salts=self.salts,
            is_busy=lambda: slots.waiting + admission.waiting > 0,
        )
        self.rollouts = RolloutController(
            registry, replica, rule=self.watch_rule, enforcer=self.enforcer, telemetry=telemetry
        )
        self.activator = self._make_activator()
        self.rollouts.on_moved = self.activator.wake
        self.presence = Presence(registry.replicas, name=settings.serve.replica_name(), address=settings.serve.address)
        self.presence.on_lost = self.activator.record_again
        telemetry.metrics.watch_queue(lambda: admission.waiting + self.activator.residency.waiting)
        telemetry.metrics.watch_documents(registry.documents.counts)
        self.answer_log = AnswerLog(registry.answers.keep, registry.answers.drop, days=settings.serve.answer_days)
        answer_parts = AnswerParts(
            engine=self.gated,
            table=self.table,
            admission=admission,
            residency=self.activator.residency,
            salts=self.salts,
            find_tenant=registry.tenants.get,
        )
        self.answers = Answers(
            answer_parts,
            default_deadline_seconds=settings.serve.default_deadline_seconds,
            telemetry=telemetry,
            note=self.answer_log.note,
            listener=self.rollouts,
            choose=VersionChoice(self.gated, self.table, require=registry.versions.require_answerable).route,
        )

    def _make_activator(self) -> Activator:
        serve = self.settings.serve
        settings = ActivatorSettings(
            replica=serve.replica_name(),
            poll_seconds=serve.poll_seconds,
            rollback_window_seconds=serve.rollback_window_seconds,
            loaded_adapters=self.settings.engine.adapter_places,
            resident_tenants=self.resident_tenants,
            adapter_wait_seconds=serve.adapter_wait_seconds,
            max_waiting_per_tenant=serve.max_queued_per_tenant,
        )
        return Activator(
            self.registry,
            self.gated,
            self.table,
            settings,
            telemetry=self.telemetry,
            require_seal=self.seals.require,
            open_or_find_standby=self.rollouts.open_or_find_standby,
        )

    async def run(self, *, engine_only: bool) -> None:
        """Run the activator, the rollout controller, the sources and the watched directory until cancelled."""
        if engine_only:
            await asyncio.Event().wait()
        await self.activator.settle()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.activator.run(), name="activator")
            group.create_task(asyncio.to_thread(self.enforcer.countersign_all_released), name="countersign")
            group.create_task(self.answer_log.run(), name="answers")
            group.create_task(sign_heads(self.settings, self.registry, self.seals.keys), name="audit heads")
            group.create_task(self.rollouts.run(), name="rollouts")
            group.create_task(self.sources.run(), name="sources")
            directory = self.settings.intake.watch_directory
            if directory is not None:
                group.create_task(DirectorySource(self.inbox, directory).watch(asyncio.Event()), name="directory")

    async def _judge_suspects(self, engine_names: tuple[str, ...], suspicion: Suspicion, reason: str) -> None:
        act = {
            Suspicion.CONVICTED: self.activator.quarantine,
            Suspicion.SUSPENDED: self.activator.suspend,
            Suspicion.CLEARED: self.activator.resume,
        }[suspicion]
        await act(engine_names, reason=reason)


def _source_runner(inbox: Inbox, settings: Settings, registry: Registry, telemetry: Telemetry) -> SourceRunner:
    holder = f"{settings.serve.replica_name()}:{os.getpid()}"
    return SourceRunner(registry, inbox, settings.sources, holder=holder, telemetry=telemetry)


def _make_gates(settings: Settings) -> tuple[Admission, SlotGate, BackgroundGate]:
    admission = Admission(
        max_running=settings.serve.max_concurrent_requests,
        max_running_per_tenant=math.ceil(settings.limits.running_share * settings.serve.max_concurrent_requests),
        max_queued_per_tenant=settings.serve.max_queued_per_tenant,
        weights=settings.limits.weights,
    )
    slots = SlotGate(slots=settings.engine.adapter_slots)
    background = BackgroundGate(
        max_sequences=settings.engine.max_sequences,
        slowdown=settings.serve.learning_slowdown,
        is_tenant_waiting=lambda: admission.waiting + slots.tenants_waiting > 0,
    )
    return admission, slots, background


def run_serve(settings: Settings, *, engine_only: bool = False, parent: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the process `parent` has ended.

    Raises: BadConfig (model, port, files), StorageFailed, EngineFailed.
    """
    run_to_end(until_stopped(lambda: serve(settings, engine_only=engine_only), parent))


async def serve(settings: Settings, *, engine_only: bool = False) -> None:
    """Own the engine and answer, until cancelled; then drain and take everything down."""
    async with serving(settings, engine_only=engine_only) as parts:
        await parts.run(engine_only=engine_only)


@asynccontextmanager
async def serving(settings: Settings, *, engine_only: bool = False) -> AsyncIterator[ServeParts]:
    """Give the parts with the listener open and the engine started; afterwards drain and take everything down.

    No tenant is answered before `ServeParts.run` has begun. Raises: as `run_serve`; BadConfig (engine and
    trainer do not fit into memory, or another server runs under the same `serve.replica`).
    """
    threads = ThreadPoolExecutor(REGISTRY_THREADS, thread_name_prefix="registry")
    asyncio.get_running_loop().set_default_executor(threads)
    async with AsyncExitStack() as stack:
        telemetry = start_telemetry(
            settings.telemetry, service="serve", is_scraped=not (engine_only or settings.http.is_off)
        )
        stack.callback(telemetry.shutdown)
        settings = await asyncio.to_thread(_planned, settings, trains_here=not engine_only)
        await asyncio.to_thread(keep_private, settings)
        registry = await asyncio.to_thread(open_registry, settings)
        stack.callback(registry.close)
        for make in (admin_secret, internal_secret):
            await asyncio.to_thread(make, settings.data_directory, registry.tokens.enrol)
        parts = ServeParts(settings, registry, telemetry)
        stack.push_async_callback(parts.engine.close)
        server = _make_server(parts, engine_only=engine_only)
        await server.start()
        stack.push_async_callback(server.stop)
        if not (engine_only or settings.http.is_off):
            from sealserve.daemon.gateway import open_gateway  # its extra is optional

            parts.http_port = await stack.enter_async_context(open_gateway(parts, server))
        if not engine_only:
            await stack.enter_async_context(_present(parts.presence))
        _log.info(LogEvent.SERVER_STARTED, address=settings.serve.address, model=settings.engine.model)
        await parts.engine.start()
        _log.info(LogEvent.ENGINE_STARTED, address=settings.serve.address)
        yield parts


@asynccontextmanager
async def _present(presence: Presence) -> AsyncIterator[None]:
    """Be one of the replicas while the body runs. Raises: BadConfig (another one has the name)."""
    await presence.announce()
    beating = asyncio.create_task(presence.run(), name="heartbeat")
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await presence.leave()


def _planned(settings: Settings, *, trains_here: bool) -> Settings:
    """Return the settings that fit into memory. Raises: BadConfig (nothing fits, or the model)."""
    plan = plan_here(settings, model_directory(settings.engine.model), trains_here=trains_here)
    _log.info(LogEvent.MEMORY_PLANNED, plan=plan.shown())
    return with_room(settings, plan)


def _refusal(parts: ServeParts) -> str:
    """Return why no cycle is started for new documents; "" if they are."""
    learn = parts.settings.learn
    return refusal(
        base_shape(parts.base_directory).digest,
        has_teacher=learn.study.editor == "endpoint",
        is_allowed=learn.allow_unfit_base,
    )


def _resident_tenants(settings: Settings, policy: Policy) -> tuple[str, ...]:
    """Return the tenants whose versions stay loaded, by settings and policy. Raises: BadConfig (too many)."""
    tenants = tuple(dict.fromkeys((*settings.serve.resident_tenants, *policy.residency.tenants)))
    if fault := settings.engine.unfit_residents(tenants):
        raise BadConfig(f"serve.resident_tenants and the policy's residency.tenants name {fault}")
    return tenants


def _make_server(parts: ServeParts, *, engine_only: bool) -> RpcServer:
    settings, registry = parts.settings, parts.registry
    server = RpcServer(
        settings.serve,
        find_token=registry.tokens.find,
        issued_tokens=registry.issued_tokens,
        limits=settings.limits,
        page_key=bytes.fromhex(parts.salts.salt(PAGE_TOKENS)),
    )
    engine: Engine = parts.gated if engine_only else MeasuredEngine(parts.gated, parts.activator.places)
    server.add_engine_service(engine, materialise=registry.artifacts.materialise)
    if not engine_only:
        services = ServiceParts(
            registry=registry,
            answers=parts.answers,
            inbox=parts.inbox,
            engine=parts.gated,
            enforcer=parts.enforcer,
            salt=parts.salts.salt,
            max_documents_per_cycle=settings.learn.max_documents_per_cycle,
            sources=settings.sources,
            watch=parts.watch_rule,
            refusal=lambda: _refusal(parts),
            is_settled=parts.activator.is_settled,
            resident_tenants=frozenset(parts.resident_tenants),
        )
        server.add_tenant_services(services)
    return server
