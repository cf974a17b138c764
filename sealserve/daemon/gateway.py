"""OpenAI's API and the webhooks of sources over HTTP, wired to the parts of `serve`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from sealserve.daemon.web import certificate_watch
from sealserve.gateway.routes import GatewayParts, make_gateway
from sealserve.rpc.server import RpcServer
from sealserve.sources.webhook import Webhook
from sealserve.telemetry.names import LogEvent
from sealserve.web.listener import HttpListener

if TYPE_CHECKING:
    from sealserve.daemon.serve import ServeParts

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_gateway(parts: "ServeParts", server: RpcServer) -> AsyncIterator[int]:
    """Listen at http.address while the body runs, and give the port; `server` says who comes in.

    `server` is stopped together with the listener, so that both drain at the same time.
    Raises: BadConfig (port in use, TLS files).
    """
    settings = parts.settings
    app = make_gateway(
        GatewayParts(
            access=server.access,
            answers=parts.answers,
            engine=parts.gated,
            registry=parts.registry,
            is_serving=server.health.is_serving,
            metrics=parts.telemetry.scrape,
            max_bytes=settings.serve.max_message_bytes,
            deadline_seconds=settings.http.deadline_seconds,
        ),
        more=[Webhook(parts.registry, parts.inbox, settings.sources).route()],
    )
    files = settings.http.certificate_files()
    watch = certificate_watch(files) if files else None
    listener = HttpListener(app, settings.http, drain_seconds=settings.serve.drain_seconds, watch=watch)
    port = await listener.start()
    _log.info(LogEvent.GATEWAY_STARTED, address=settings.http.address)
    try:
        yield port
    finally:
        await asyncio.gather(server.stop(), listener.stop())
