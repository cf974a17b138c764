"""The gRPC server: which services it carries, its bounds, its health, and how it starts and stops.

Wires; decides nothing. `daemon/serve.py` makes what the services need and hands it in.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from sealserve.engine.engine import Engine
from sealserve.errors import BadConfig
from sealserve.gate.thresholds import WatchRule, load_policy
from sealserve.intake.inbox import Inbox
from sealserve.network import is_loopback
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.records.inference import EngineInfo
from sealserve.records.principals import Token
from sealserve.registry.registry import Registry
from sealserve.rpc.authorisation.access import Access
from sealserve.rpc.authorisation.authentication import Authentication, Tenancy
from sealserve.rpc.authorisation.known_tokens import KnownTokens
from sealserve.rpc.authorisation.permissions import PACKAGE
from sealserve.rpc.authorisation.unknown_tokens import Issued
from sealserve.rpc.budget import Budget
from sealserve.rpc.health import Health
from sealserve.rpc.interceptors import IDLE_WRITE_SECONDS, Boundary
from sealserve.rpc.models import Models
from sealserve.rpc.open_calls import OpenCalls
from sealserve.rpc.page_tokens import KEY_BYTES, SealedPageTokens
from sealserve.rpc.services.adapters import AdapterService
from sealserve.rpc.services.approvals import ApprovalService
from sealserve.rpc.services.audit import AuditService
from sealserve.rpc.services.canaries import CanaryService
from sealserve.rpc.services.cycles import CycleService
from sealserve.rpc.services.documents import DocumentService
from sealserve.rpc.services.engine import EngineService
from sealserve.rpc.services.evidence import EvaluationService, FeedbackService
from sealserve.rpc.services.inference import InferenceService
from sealserve.rpc.services.sources import SourceService
from sealserve.rpc.services.tenants import TenantService
from sealserve.rpc.services.tokens import TokenService
from sealserve.rpc.services.watches import WatchService
from sealserve.rpc.unlearning_probe import UnlearningProbe
from sealserve.serving.answers import Answers
from sealserve.settings.certificates import CertificateFiles, CertificateWatch
from sealserve.settings.limits import LimitSettings
from sealserve.settings.serve import ServeSettings
from sealserve.settings.sources import SourceSettings
from sealserve.telemetry.names import LogEvent
from sealserve.v1 import (
    adapter_pb2_grpc,
    approval_pb2_grpc,
    audit_pb2_grpc,
    canary_pb2_grpc,
    cycle_pb2_grpc,
    document_pb2_grpc,
    engine_pb2_grpc,
    evaluation_pb2_grpc,
    feedback_pb2_grpc,
    inference_pb2_grpc,
    source_pb2_grpc,
    tenant_pb2_grpc,
    token_pb2_grpc,
    watch_pb2_grpc,
)

_LOG = structlog.get_logger(__name__)

TENANT_SERVICES = tuple(
    f"{PACKAGE}.{name}Service"
    for name in (
        "Inference",
        "Document",
        "Source",
        "Adapter",
        "Watch",
        "Cycle",
        "Approval",
        "Feedback",
        "Evaluation",
        "Canary",
        "Tenant",
        "Token",
        "Audit",
    )
)
ENGINE_SERVICE = f"{PACKAGE}.EngineService"
REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
"""grpcio-reflection 1.85 brings v1alpha only; newer tools ask for v1 first."""

NEED_THE_ENGINE = ("", f"{PACKAGE}.InferenceService", ENGINE_SERVICE)
"""Health names that follow the engine's state; the others serve as long as the process does."""

NEED_VERSIONS = ("", f"{PACKAGE}.InferenceService")
"""Of these, the ones that serve only once tenants' versions are loaded."""

IDLE_READ_SECONDS = 300.0
HEALTH_SECONDS = 0.25
STREAMS_OF_CONNECTION = 1024
"""HTTP/2 streams; who opens more over one connection waits. What a caller may do at once, the budget says."""

RESPONSE_FACTOR = 4  # a page holds many of what came in one by one
WATCH_PART = 0.8
"""Of a connection's age. A watch ends before its connection is cut off: gRPC draws the age from 0.9 to 1.1 of ours."""

HANDSHAKE_MILLISECONDS = 20_000
"""How long a connection may take to begin with HTTP/2; gRPC gives two minutes."""

KEEPALIVE_MILLISECONDS = 30_000
KEEPALIVE_TIMEOUT_MILLISECONDS = 15_000


def _always(info: EngineInfo) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceParts:
    """What the services for tenants and operators need; `enforcer` is asked before a pointer moves.

    `salt` returns a tenant's prefix-cache salt, under which `engine` is asked for it. Watches are shown by the rule
    `watch`, the packaged one if there is none. `refusal` returns why no cycle may be started now; "" if one may.
    `is_settled` says whether tenants' versions are loaded (`Activator.is_settled`); health waits for it. Versions of
    `resident_tenants` stay loaded.
    """

    registry: Registry
    answers: Answers
    inbox: Inbox
    engine: Engine
    enforcer: PolicyEnforcer
    salt: Callable[[str], str]
    max_documents_per_cycle: int
    sources: SourceSettings = field(default_factory=SourceSettings)
    watch: WatchRule | None = None
    refusal: Callable[[], str] = str
    is_settled: Callable[[EngineInfo], bool] = _always
    resident_tenants: frozenset[str] = frozenset()


class RpcServer:
    """One listener. Add services, `start`, and in the end `stop`."""

    def __init__(
        self,
        settings: ServeSettings,
        *,
        find_token: Callable[[str], Token],
        issued_tokens: Issued | None = None,
        limits: LimitSettings | None = None,
        page_key: bytes = b"",
        idle_write_seconds: float = IDLE_WRITE_SECONDS,
        idle_read_seconds: float = IDLE_READ_SECONDS,
    ) -> None:
        """Must be called in a running loop. `find_token` says whose a secret is (`Tokens.find`),
        `issued_tokens` which secrets are worth asking about; all, if there is none.

        `page_key`, 32 bytes, seals page tokens: replicas that share it know each other's; without one it is drawn.
        """
        self._settings = settings
        self._idle_read_seconds = idle_read_seconds
        self._known = KnownTokens(find_token, issued=issued_tokens, grace_seconds=settings.token_grace_seconds)
        self._draining = asyncio.Event()
        self._names: list[str] = []
        self._engine: Engine | None = None
        self._is_settled: Callable[[EngineInfo], bool] = _always
        self._probe: UnlearningProbe | None = None
        self._following: asyncio.Task[None] | None = None
        self.access = Access(self._known, budget=Budget(limits or LimitSettings()), is_open=settings.auth == "off")
        self._server = grpc.aio.server(
            interceptors=[
                OpenCalls(),
                Authentication(self.access),
                Boundary(
                    default_deadline_seconds=settings.default_deadline_seconds,
                    idle_write_seconds=idle_write_seconds,
                    page_tokens=SealedPageTokens(page_key or secrets.token_bytes(KEY_BYTES)),
                ),
                Tenancy(),
            ],
            options=_options(settings),
        )
        self.health = Health((*TENANT_SERVICES, ENGINE_SERVICE))

    def add_tenant_services(self, parts: ServiceParts) -> None:
        """Carry every service that tenants and operators call."""
        settings, server, registry, enforcer = self._settings, self._server, parts.registry, parts.enforcer
        following: dict[str, Any] = {
            "poll_seconds": settings.poll_seconds,
            "watch_seconds": WATCH_PART * settings.max_connection_seconds,
            "draining": self._draining,
        }
        inference = InferenceService(
            answers=parts.answers,
            engine=parts.engine,
            models=Models(registry),
            replica=settings.replica_name(),
            version=version("sealserve"),
            max_bytes=settings.max_message_bytes,
        )
        adapters = AdapterService(
            registry, engine=parts.engine, enforcer=enforcer, resident_tenants=parts.resident_tenants, **following
        )
        cycles = CycleService(registry, max_documents=parts.max_documents_per_cycle, refusal=parts.refusal, **following)
        inference_pb2_grpc.add_InferenceServiceServicer_to_server(inference, server)
        self._probe = UnlearningProbe(
            registry, engine=parts.engine, salt=parts.salt, poll_seconds=settings.poll_seconds
        )
        documents = DocumentService(
            registry, parts.inbox, enforcer=enforcer, probe=self._probe, idle_seconds=self._idle_read_seconds
        )
        document_pb2_grpc.add_DocumentServiceServicer_to_server(documents, server)
        source_service = SourceService(registry, parts.sources, max_item_bytes=parts.inbox.max_file_bytes)
        source_pb2_grpc.add_SourceServiceServicer_to_server(source_service, server)
        adapter_pb2_grpc.add_AdapterServiceServicer_to_server(adapters, server)
        cycle_pb2_grpc.add_CycleServiceServicer_to_server(cycles, server)
        watches = WatchService(registry, rule=parts.watch or load_policy().watch)
        watch_pb2_grpc.add_WatchServiceServicer_to_server(watches, server)
        approvals = ApprovalService(registry, enforcer=enforcer)
        approval_pb2_grpc.add_ApprovalServiceServicer_to_server(approvals, server)
        self._add_plain_services(registry)
        self._names += TENANT_SERVICES
        self._is_settled = parts.is_settled
        self._engine = parts.engine

    def _add_plain_services(self, registry: Registry) -> None:
        """Carry the services that need the registry alone."""
        server = self._server
        feedback_pb2_grpc.add_FeedbackServiceServicer_to_server(FeedbackService(registry), server)
        evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(EvaluationService(registry), server)
        canary_pb2_grpc.add_CanaryServiceServicer_to_server(CanaryService(registry), server)
        tenant_pb2_grpc.add_TenantServiceServicer_to_server(TenantService(registry), server)
        token_pb2_grpc.add_TokenServiceServicer_to_server(TokenService(registry, known=self._known), server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(registry), server)

    def add_engine_service(self, engine: Engine, *, materialise: Callable[[str], AbstractContextManager[Path]]) -> None:
        """Carry EngineService; `materialise` is the artifact store's."""
        service = EngineService(engine, materialise=materialise, max_bytes=self._settings.max_message_bytes)
        engine_pb2_grpc.add_EngineServiceServicer_to_server(service, self._server)
        self._names.append(ENGINE_SERVICE)
        self._engine = engine

    async def start(self) -> int:
        """Listen, and return the port. Health follows the engine from here on. Raises: BadConfig (address, port)."""
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self._add_reflection([name for name in self._names if name != ENGINE_SERVICE])
        port = self._bind()
        await self._server.start()
        self.health.set([name for name in self._names if name not in NEED_THE_ENGINE], is_serving=True)
        if self._engine is not None:
            follow = self.health.follow(
                self._engine,
                services=self._followed(),
                seconds=HEALTH_SECONDS,
                is_settled=self._is_settled,
                need_versions=NEED_VERSIONS,
            )
            self._following = asyncio.create_task(follow, name="health")
        return port

    async def stop(self) -> None:
        """Say NOT_SERVING, end the watches, let running calls finish within drain_seconds, cut off the rest."""
        self._draining.set()
        self.health.end()
        await self._server.stop(self._settings.drain_seconds)
        self._known.close()
        if self._probe is not None:
            await self._probe.close()
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    def _add_reflection(self, services: list[str]) -> None:
        """Describe `services`, by both versions of the protocol: their messages are the same on the wire."""
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        servicer = reflection.aio.ReflectionServicer([*services, health_name, reflection.SERVICE_NAME, REFLECTION_V1])
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, self._server)
        info = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        v1 = grpc.method_handlers_generic_handler(REFLECTION_V1, {"ServerReflectionInfo": info})
        self._server.add_generic_rpc_handlers((v1,))

    def _followed(self) -> tuple[str, ...]:
        return tuple(name for name in NEED_THE_ENGINE if name == "" or name in self._names)

    def _bind(self) -> int:
        address, files = self._settings.address, self._settings.certificate_files()
        if files is None and not self._settings.insecure and not is_loopback(address):
            text = (
                f"serve.address {address} is not loopback: set serve.tls_certificate and serve.tls_key to listen there"
            )
            raise BadConfig(text)
        try:
            if files is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, _credentials(files))
        except RuntimeError as error:
            raise _cannot_bind(address) from error
        if port == 0 and not address.startswith("unix:"):
            raise _cannot_bind(address)
        return port


def _credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    """Return credentials that look at the files again at each handshake. Raises: BadConfig (they are no pair)."""
    watch = CertificateWatch(
        files,
        on_renewed=lambda: _LOG.info(LogEvent.CERTIFICATE_RENEWED, file=str(files.certificate)),
        on_broken=lambda error: _LOG.warning(LogEvent.CERTIFICATE_NOT_RENEWED, error=error),
    )

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        pair = watch.renewed()
        return grpc.ssl_server_certificate_configuration([pair]) if pair else None

    first = grpc.ssl_server_certificate_configuration([files.read()])
    return grpc.dynamic_ssl_server_credentials(first, renewed)  # type: ignore[arg-type]  # None: as before


def _cannot_bind(address: str) -> BadConfig:
    return BadConfig(
        f"serve.address {address}: cannot listen there; the port is in use or the host is not this machine's. "
        "Stop the other process or choose another port"
    )


def _options(settings: ServeSettings) -> list[tuple[str, int]]:
    """Keepalive as other inference servers came to need it: a long unary call writes nothing, and pings are no abuse.

    The option is spelled "without_data"; the similar "recv" spelling is silently ignored by gRPC.
    """
    return [
        ("grpc.max_send_message_length", RESPONSE_FACTOR * settings.max_message_bytes),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.so_reuseport", 0),  # on, a second server on the same port would take half of the calls
        ("grpc.max_concurrent_streams", STREAMS_OF_CONNECTION),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MILLISECONDS),
        ("grpc.max_connection_age_ms", int(1000 * settings.max_connection_seconds)),
        ("grpc.max_connection_age_grace_ms", int(1000 * settings.max_connection_seconds)),
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]
